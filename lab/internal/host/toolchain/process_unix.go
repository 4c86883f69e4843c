//go:build unix

package toolchain

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ownGroup makes a cancelled context end the command together with everything it started (compilers, linkers), and
// keeps a Ctrl-C in the terminal from reaching them before the lab has decided what to do about it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	// A grandchild that has left the group could hold the output open for ever.
	cmd.WaitDelay = 5 * time.Second
}
