package world

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gridos/sharedinfra/lab/internal/delivery/database"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/toolchain"
)

// postgresql is the package with the programs of a PostgreSQL server, which Debian has beside PATH.
const postgresql = "postgresql"

// chromium is the package with a browser for the tests of pages, which take Chrome as well.
const chromium = "chromium"

// browsers are the names of the browser on PATH.
func browsers() []string {
	return []string{chromium, "chromium-browser", "google-chrome", "google-chrome-stable"}
}

// programs are those that delivery from Git needs and that are no Go modules. Each is in Debian's,
// and Ubuntu's, package of the same name.
func programs() []string { return []string{"git", "redis-server", postgresql} }

// ProgramsForTests finds the programs that tests run beside those of tools/, or installs them as
// root with apt-get. The error names what is missing, and the command that installs it.
func ProgramsForTests(ctx context.Context, display *progress.Display) error {
	_, err := findPrograms(ctx, display, os.Geteuid() == 0, append(programs(), chromium))
	return err
}

// findPrograms returns the paths of programs; that of PostgreSQL is a folder. It installs what is
// missing if it may, as root and with apt-get; else the error has the command that does.
func findPrograms(ctx context.Context, display *progress.Display, root bool, names []string) (map[string]string, error) {
	found, missing, err := lookUp(names)
	if err != nil || len(missing) == 0 {
		return found, err
	}
	if err := mayInstall(root, missing); err != nil {
		return nil, err
	}
	step := display.Start("installing " + strings.Join(missing, ", "))
	if err := installPackages(ctx, missing); err != nil {
		step.Fail(err)
		return nil, err
	}
	step.Done("")
	found, missing, err = lookUp(names)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("their packages are installed, but not on PATH: %s", strings.Join(missing, ", "))
	}
	return found, err
}

// announcePrograms says which programs are missing before the user waits for anything else.
func announcePrograms(display *progress.Display, root bool) error {
	_, missing, err := lookUp(programs())
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := mayInstall(root, missing); err != nil {
		display.Printf("Argo CD will not run: %v.", err)
		return nil
	}
	display.Printf("Once, the lab installs packages of the distribution: %s.", strings.Join(missing, ", "))
	return nil
}

// installation is the command that installs packages.
func installation(packages []string) []string {
	return append([]string{"apt-get", "install", "--yes", "--no-install-recommends"}, packages...)
}

// mayInstall returns nil if packages can be installed; else the error says how a person does it.
func mayInstall(root bool, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("not on PATH: %s; install what is missing", strings.Join(packages, ", "))
	}
	if !root || toolchain.Offline() {
		return fmt.Errorf("not on PATH: %s; sudo apt-get update && sudo %s installs what is missing",
			strings.Join(packages, ", "), strings.Join(installation(packages), " "))
	}
	return nil
}

func lookUp(names []string) (found map[string]string, missing []string, err error) {
	found = map[string]string{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		switch name {
		case postgresql:
			path, err = database.Programs()
		case chromium:
			for _, browser := range browsers() {
				if path, err = exec.LookPath(browser); err == nil {
					break
				}
			}
		}
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

// installPackages leaves no service of the packages running: the lab starts the programs itself.
// While the packages are installed, their services cannot start.
func installPackages(ctx context.Context, packages []string) (err error) {
	if _, err := os.Stat("/run/systemd/system"); err == nil { // sd_booted(3)
		services := slices.DeleteFunc(slices.Clone(packages), func(name string) bool { return name == "git" || name == chromium })
		if err := run(ctx, "systemctl", append([]string{"mask", "--runtime"}, services...)...); err != nil {
			return err
		}
		defer func() {
			ctx := context.WithoutCancel(ctx)
			err = errors.Join(err,
				run(ctx, "systemctl", append([]string{"disable"}, services...)...),
				run(ctx, "systemctl", append([]string{"unmask", "--runtime"}, services...)...))
		}()
	}
	updateErr := run(ctx, "apt-get", "update", "--quiet") // one broken source need not keep the packages away
	install := installation(packages)
	if err := run(ctx, install[0], install[1:]...); err != nil {
		return errors.Join(updateErr, err)
	}
	return nil
}

// run ends with the last line that a failed command has written. An interrupt does not end a
// command that has begun: without apt-get dpkg would be left in the middle of a package.
func run(ctx context.Context, name string, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, lines[len(lines)-1])
	}
	return nil
}
