//go:build !linux

package process

import "syscall"

// childAttributes give a child its own process group, so that Ctrl-C in the terminal reaches only
// the lab and the lab stops its children in order. Reap ends the processes that a killed lab
// leaves.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// Unprivileged are the attributes of a program that refuses to run as root.
func Unprivileged() *syscall.SysProcAttr { return childAttributes() }
