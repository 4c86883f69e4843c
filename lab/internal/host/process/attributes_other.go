//go:build !linux

package process

import "syscall"

// childAttributes give a child its own process group, so that Ctrl-C in the terminal reaches the lab alone and the lab
// stops its children in order. What a killed lab leaves behind, Reap ends.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
