// What runc says when a process could not be started, and the exit code that Docker makes of it.

export interface StartError {
  readonly exitCode: number;
  readonly message: string;
}

// POSIX XCU 2.8.2; 128 is Docker's for what failed before the command was even tried.
const EXIT_NOT_FOUND = 127;
const EXIT_NOT_EXECUTABLE = 126;
const EXIT_NOT_STARTED = 128;

// The texts of runc and of Go's os/exec, as moby's daemon/start_unix.go looks for them.
const NOT_FOUND = /executable file not found|no such file or directory|system cannot find the file/;
const NOT_EXECUTABLE =
  /permission denied|is a directory|exec format error|not a directory|invalid argument/;

export function startErrorOf(details: string): StartError {
  // As dockerd shows it, with the name of a gRPC code that containerd puts behind what it does not know.
  const message = details;
  const cause = message.slice(message.lastIndexOf("unable to start container process"));
  const isOfCommand = /exec: |exec \S+: |chdir to cwd|stat /.test(cause);
  if (isOfCommand && NOT_FOUND.test(cause)) return { exitCode: EXIT_NOT_FOUND, message };
  if (isOfCommand && NOT_EXECUTABLE.test(cause)) return { exitCode: EXIT_NOT_EXECUTABLE, message };
  return { exitCode: EXIT_NOT_STARTED, message };
}
