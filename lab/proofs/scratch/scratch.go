// Package scratch makes copies of a checkout in which the lab can be broken without harm to the
// user's checkout.
package scratch

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Copy makes dir, which must be empty, a copy of the checkout at repository with only the files
// that the lab reads. It returns an environment in it.
func Copy(repository, dir, environment string) (site.Site, error) {
	// A folder for temporary files may be a link, but processes are found by the real path of their
	// folder.
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return site.Site{}, err
	}
	files := []string{"go.mod"}
	for _, p := range stacks.Projects() {
		files = append(files, filepath.Join(p.Directory, "Pulumi.yaml"))
		for _, e := range naming.Environments() {
			files = append(files, filepath.Join(p.Directory, "Pulumi."+e+".yaml"))
		}
	}
	errs := []error{os.Symlink(filepath.Join(repository, "tools"), filepath.Join(dir, "tools"))}
	for _, file := range files {
		errs = append(errs, copyFile(filepath.Join(repository, file), filepath.Join(dir, file)))
	}
	// The lab's Git server begins with these folders.
	for _, folder := range []string{"applications", "src"} {
		errs = append(errs, os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(repository, folder))))
	}
	return site.Site{Repository: dir, Environment: environment, Dir: filepath.Join(dir, ".lab", environment)}, errors.Join(errs...)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
