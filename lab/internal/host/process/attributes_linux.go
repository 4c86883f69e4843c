package process

import (
	"os"
	"syscall"
)

// childAttributes give a child its own process group, so that Ctrl-C in the terminal reaches only
// the lab and the lab stops its children in order. They also make the kernel end the child when the
// lab itself is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// unprivileged is the id of the user without rights (user_namespaces(7), overflowuid).
const unprivileged = 65534

// Unprivileged are attributes with which a program that refuses to run as root sees another user,
// in a user namespace in which the user without rights stands for root.
func Unprivileged() *syscall.SysProcAttr {
	attributes := childAttributes()
	if os.Geteuid() == 0 {
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: unprivileged, HostID: 0, Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: unprivileged, HostID: os.Getegid(), Size: 1}}
	}
	return attributes
}
