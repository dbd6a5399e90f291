// The scripts that make a shell ask `skein __complete`.

const BASH = `# bash completion for skein
_skein() {
  local IFS=$'\\n' word=\${COMP_WORDS[COMP_CWORD]} line
  COMPREPLY=()
  while read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # A candidate that ends with "=" wants its value next to it.
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  # Where skein has nothing to offer, files are.
  [[ \${#COMPREPLY[@]} -eq 0 && $word != -* ]] && compopt -o default
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
  $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c skein -f -a '(__skein_complete)'
`;

export const completionScripts: Readonly<Record<string, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
};
