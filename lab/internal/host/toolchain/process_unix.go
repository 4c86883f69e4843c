//go:build unix

package toolchain

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup makes a cancelled context end the command together with all processes that it started
// (compilers, linkers). It also keeps a Ctrl-C in the terminal from reaching them before the lab
// has decided how to react.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	// A grandchild that has left the group could keep the output open for ever.
	cmd.WaitDelay = 5 * time.Second
}
