package process

import "syscall"

// childAttributes give a child its own process group, so that Ctrl-C in the terminal reaches only
// the lab and the lab stops its children in order. They also make the kernel end the child when the
// lab itself is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
