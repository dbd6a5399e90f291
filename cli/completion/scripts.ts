// The scripts that make a shell ask `skein __complete`.

const BASH = `# bash completion for skein
_skein() {
  local IFS=$'\\n' line i typed before=""
  local -a words=()
  # bash parts words at "=" and ":" too; skein is asked about whole ones.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    if ((\${#words[@]})) && [[ \${COMP_WORDS[i]} == [=:]* || \${words[-1]} == *[=:] ]]; then
      words[-1]+=\${COMP_WORDS[i]}
    else
      words+=("\${COMP_WORDS[i]}")
    fi
  done
  typed=\${words[-1]}
  # What bash replaces is the last part only.
  [[ $typed != "\${COMP_WORDS[COMP_CWORD]}" || $typed == [=:] ]] && before=\${typed%"\${typed##*[=:]}"}
  COMPREPLY=()
  while read -r line; do
    line=\${line%%$'\\t'*}
    COMPREPLY+=("\${line#"$before"}")
  done < <("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)
  # Where skein has nothing to offer, files are.
  [[ \${#COMPREPLY[@]} -eq 0 && $typed != -* ]] && compopt -o default
  return 0
}
complete -F _skein skein
`;

const ZSH = `#compdef skein
_skein() {
  local -a candidates
  local line
  while IFS= read -r line; do
    # _describe wants "word:explanation", with colons of the word itself escaped.
    local word=\${line%%$'\\t'*} about=""
    [[ $line == *$'\\t'* ]] && about=\${line#*$'\\t'}
    candidates+=("\${word//:/\\\\:}\${about:+:$about}")
  done < <("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( $#candidates )); then
    _describe -t skein 'skein' candidates
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_skein" ]; then
  _skein "$@"
else
  compdef _skein skein
fi
`;

const FISH = `# fish completion for skein
function __skein_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l candidates ($words[1] __complete $words[2..-1] 2>/dev/null)
  # Where skein has nothing to offer, files are.
  if set -q candidates[1]
    printf '%s\\n' $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c skein -f -a '(__skein_complete)'
`;

export const completionScripts: Readonly<Record<string, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
};
