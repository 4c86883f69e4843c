package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/host/progress"
)

// programs are those that delivery from Git needs and that are no Go modules. Each is in Debian's,
// and Ubuntu's, package of the same name.
func programs() []string { return []string{"git", "redis-server", "prometheus"} }

// findPrograms returns the paths of the programs. It installs what is missing if it may, as root
// and with apt-get; else the error has the command that does.
func findPrograms(ctx context.Context, display *progress.Display, root bool) (map[string]string, error) {
	found, missing, err := lookUp(programs())
	if err != nil || len(missing) == 0 {
		return found, err
	}
	install := append([]string{"apt-get", "install", "--yes", "--no-install-recommends"}, missing...)
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("not on PATH: %s; install what is missing", strings.Join(missing, ", "))
	}
	if !root {
		return nil, fmt.Errorf("not on PATH: %s; sudo %s installs what is missing", strings.Join(missing, ", "), strings.Join(install, " "))
	}
	step := display.Start("installing " + strings.Join(missing, ", "))
	if err := installPackages(ctx, install, missing); err != nil {
		step.Fail(err)
		return nil, err
	}
	step.Done("")
	found, missing, err = lookUp(programs())
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("their packages are installed, but not on PATH: %s", strings.Join(missing, ", "))
	}
	return found, err
}

func lookUp(names []string) (found map[string]string, missing []string, err error) {
	found = map[string]string{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			missing = append(missing, name)
			continue
		}
		if found[name], err = filepath.Abs(path); err != nil {
			return nil, nil, err
		}
	}
	return found, missing, nil
}

// installPackages leaves no service of the packages running: the lab starts the programs itself,
// and Prometheus' service would listen on every address of the machine.
func installPackages(ctx context.Context, install, packages []string) error {
	if err := run(ctx, "apt-get", "update", "--quiet"); err != nil {
		return err
	}
	if err := run(ctx, install[0], install[1:]...); err != nil {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); errors.Is(err, os.ErrNotExist) { // sd_booted(3)
		return nil
	}
	for _, name := range packages {
		if name != "git" {
			if err := run(ctx, "systemctl", "disable", "--now", name); err != nil {
				return err
			}
		}
	}
	return nil
}

// run ends with the last line that a failed command has written.
func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, lines[len(lines)-1])
	}
	return nil
}
