// Package site has the paths of the lab's files: all files of one environment are under
// .lab/<environment> in the checkout, so two checkouts, or two environments, never share a file.
package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/mod/modfile"

	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/internal/naming"
)

const (
	module = "github.com/gridos/sharedinfra"
	folder = ".lab"
)

// Site is the place of one environment of the lab. Its fields are absolute paths; call Open or Temporary to get one.
type Site struct {
	// Repository is the root of the checkout.
	Repository string
	// Environment is dev, test or prod.
	Environment string
	// Dir holds everything that the lab writes for the environment.
	Dir string
}

// Open returns the site of environment in the checkout of the current directory. It writes nothing.
// The error says that the environment is unknown or that there is no checkout.
func Open(environment string) (Site, error) {
	if !slices.Contains(naming.Environments(), environment) {
		return Site{}, fmt.Errorf("there is no environment %q; use one of %s",
			environment, strings.Join(naming.Environments(), ", "))
	}
	repository, err := findRepository()
	if err != nil {
		return Site{}, err
	}
	return Site{
		Repository:  repository,
		Environment: environment,
		Dir:         filepath.Join(repository, folder, environment),
	}, nil
}

// Command returns the command line with which a person runs a verb of the lab in the environment,
// for messages.
func (s Site) Command(verb string) string {
	if s.Environment == naming.Environments()[0] { // the default of --stack
		return "bin/lab " + verb
	}
	return "bin/lab " + verb + " -s " + s.Environment
}

// Temporary returns a new site beside s, for a preview of an environment that is not up. The caller
// removes it.
func (s Site) Temporary() (Site, error) {
	parent := filepath.Dir(s.Dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return Site{}, err
	}
	dir, err := os.MkdirTemp(parent, s.Environment+temporary+"*")
	if err != nil {
		return Site{}, err
	}
	s.Dir = dir
	return s, nil
}

// temporary marks the directories of temporary sites.
const temporary = "-preview-"

// Abandoned returns the temporary sites of s's environment that were not removed. The caller holds
// the lock, so no other command uses them.
func (s Site) Abandoned() ([]Site, error) {
	dirs, err := filepath.Glob(s.Dir + temporary + "*")
	if err != nil {
		return nil, err
	}
	sites := make([]Site, len(dirs))
	for i, dir := range dirs {
		sites[i] = s
		sites[i].Dir = dir
	}
	return sites, nil
}

func findRepository() (string, error) {
	start, err := os.Getwd()
	if err == nil {
		start, err = filepath.EvalSymlinks(start) // processes are found by their folder, so it must have one name only
	}
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && modfile.ModulePath(text) == module {
			return dir, checkPath(dir)
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is in no checkout of %s; change into one", start, module)
		}
	}
}

// checkPath refuses a checkout at a path that KUBECONFIG and PATH cannot contain: a colon separates
// their elements.
func checkPath(dir string) error {
	if strings.ContainsRune(dir, os.PathListSeparator) {
		return fmt.Errorf("the checkout is at %s, and a colon divides the paths in KUBECONFIG and PATH; move it to a path without one", dir)
	}
	return nil
}

// ProjectDir is the directory of a Pulumi project, relative as in stacks.Project.
func (s Site) ProjectDir(directory string) string { return filepath.Join(s.Repository, directory) }

// ToolsDir holds the nested modules that pin the lab's tools.
func (s Site) ToolsDir() string { return filepath.Join(s.Repository, "tools") }

// WorkDir is the folder in which the engine runs for the named project. It has copies of the
// project's files, to which the engine may write.
func (s Site) WorkDir(project string) string { return filepath.Join(s.Dir, "work", project) }

// ConfigurationFile has the configuration of all projects, the same as the lab's engine uses, for
// the plain Pulumi CLI.
func (s Site) ConfigurationFile() string { return projectfile.StackFile(s.Dir, s.Environment) }

// BackendDir holds the stacks' states.
func (s Site) BackendDir() string { return filepath.Join(s.Dir, "backend") }

// HomeDir is the engine's home, so that the user's login and plugins are neither used nor changed.
func (s Site) HomeDir() string { return filepath.Join(s.Dir, "home") }

// TemporaryDir is the folder for temporary files of the engine and its plugins: the Kubernetes
// provider leaves kubeconfigs there.
func (s Site) TemporaryDir() string { return filepath.Join(s.Dir, "tmp") }

// ControlPlaneDir holds the Kubernetes control plane.
func (s Site) ControlPlaneDir() string { return filepath.Join(s.Dir, "kubernetes") }

// GitOpsDir holds the files of delivery from Git. It exists if, and only if, the environment has
// delivery from Git.
func (s Site) GitOpsDir() string { return filepath.Join(s.Dir, "gitops") }

// ChartsDir holds the charts that replace those of the chart repository.
func (s Site) ChartsDir() string { return filepath.Join(s.Dir, "charts") }

// LogFile returns the path of a log.
func (s Site) LogFile(name string) string { return filepath.Join(s.Dir, "logs", name+".log") }

// ScenariosFile is the log of the scenarios that were played last: one event in JSON per line.
func (s Site) ScenariosFile() string { return filepath.Join(s.Dir, "logs", "scenarios.jsonl") }

// AzureFile is the simulated Azure's inventory.
func (s Site) AzureFile() string { return filepath.Join(s.Dir, "azure.json") }

// KubeconfigFile signs in to the lab's cluster as its administrator.
func (s Site) KubeconfigFile() string { return filepath.Join(s.Dir, "kubeconfig") }

// PassphraseFile holds the passphrase that encrypts the stacks' secrets.
func (s Site) PassphraseFile() string { return filepath.Join(s.Dir, "passphrase") }

// RecoveryFile exists from the moment when the trace of a killed engine is removed until a
// recovery, or a removal, is complete. So an interruption in between is not forgotten.
func (s Site) RecoveryFile() string { return filepath.Join(s.Dir, "recovery") }

// RecordFile is the record of the background process.
func (s Site) RecordFile() string { return filepath.Join(s.Dir, "serve.json") }

// PageFile has the port of the page on which a person watches the lab.
func (s Site) PageFile() string { return filepath.Join(s.Dir, "page.port") }

// Exists reports whether any file of the environment exists.
func (s Site) Exists() bool {
	_, err := os.Stat(s.Dir)
	return err == nil
}

// Prepare creates the site's directories and its passphrase, if they are missing.
func (s Site) Prepare() error {
	for _, dir := range []string{s.Dir, s.BackendDir(), s.HomeDir(), s.TemporaryDir(), filepath.Dir(s.LogFile("any"))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.PassphraseFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(s.PassphraseFile(), []byte(rand.Text()), 0o600)
}

// Remove deletes the site, and the lab's folder if this was its last one.
func (s Site) Remove() error {
	if err := os.RemoveAll(s.Dir); err != nil {
		return err
	}
	return s.removeEmptyFolder()
}

func (s Site) removeEmptyFolder() error {
	err := os.Remove(filepath.Dir(s.Dir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil // another environment, or its lock, exists
	}
	return err
}

// Lock does not wait: the error says that another command works on the environment. The lock ends
// with the process.
func (s Site) Lock() (unlock func() error, err error) {
	path := s.Dir + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !locked || !isStill(lock, path) {
		return nil, fmt.Errorf("another lab command works on %s in this checkout; wait for it, or stop it", s.Environment)
	}
	return func() error {
		// The file is removed while the lock is held, so that a folder without environments
		// disappears.
		return errors.Join(os.Remove(path), lock.Unlock(), s.removeEmptyFolder())
	}, nil
}

// isStill reports whether the locked file is the one that other commands will find: its last holder
// removes it.
func isStill(lock *flock.Flock, path string) bool {
	held, err := lock.Stat()
	if err != nil {
		return false
	}
	found, err := os.Stat(path)
	return err == nil && os.SameFile(held, found)
}

// waitStep is how often a condition on the site's files is checked.
const waitStep = 50 * time.Millisecond

// WaitFor returns when done reports true, or with the error of done or ctx.
func WaitFor(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(waitStep)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
