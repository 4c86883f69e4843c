// Package audit looks for known vulnerabilities that the code reaches, and never reports success
// when it could not look.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Database is the vulnerability database of the Go project.
const Database = "https://vuln.go.dev"

// ErrNotAudited says that the audit could not look: whether there are vulnerabilities is not known.
var ErrNotAudited = errors.New("NOTHING WAS AUDITED")

// Audit is one look at some modules.
type Audit struct {
	// Database is the address of a database as https://go.dev/doc/security/vuln/database describes it.
	Database string
	// Modules are the folders of the modules to look at.
	Modules []string
	// Check looks at the module in a folder with the vulnerabilities of a database; its error says
	// that there are some, or that it could not look.
	Check func(ctx context.Context, database, module string) error
}

// patience is how long the database may take to answer.
const patience = 20 * time.Second

// Run returns the time of the database's last change, and an error for each module with
// vulnerabilities, joined. If the database cannot be read, Run checks nothing and returns
// ErrNotAudited.
func (a Audit) Run(ctx context.Context) (time.Time, error) {
	modified, err := a.modified(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: the vulnerability database %s cannot be read: %w; run it where it can be, or name a mirror "+
			"with --database", ErrNotAudited, a.Database, err)
	}
	var found []error
	for _, module := range a.Modules {
		if err := a.Check(ctx, a.Database, module); err != nil {
			found = append(found, fmt.Errorf("the module in %s: %w", module, err))
		}
	}
	return modified, errors.Join(found...)
}

// modified asks the database when it was changed for the last time: every database says so.
func (a Audit) modified(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.Database, "/")+"/index/db.json", nil)
	if err != nil {
		return time.Time{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return time.Time{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return time.Time{}, errors.New("it answers " + response.Status)
	}
	var answer struct {
		Modified time.Time `json:"modified"`
	}
	// A network that blocks the request may answer with a page of its own.
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(response.Body, most)).Decode(&answer); err != nil || answer.Modified.IsZero() {
		return time.Time{}, errors.New("what answers is no such database")
	}
	return answer.Modified, nil
}

// Govulncheck returns a Check that runs govulncheck in the version that the folder tools of a
// checkout pins; its output goes to out.
func Govulncheck(checkout string, out io.Writer) func(ctx context.Context, database, module string) error {
	return func(ctx context.Context, database, module string) error {
		pin, err := filepath.Abs(filepath.Join(checkout, "tools", "govulncheck", "go.mod"))
		if err != nil {
			return err
		}
		command := exec.CommandContext(ctx, "go", "tool", "-modfile="+pin, "govulncheck", "-db", database, "./...")
		command.Dir, command.Stdout, command.Stderr = filepath.Join(checkout, module), out, out
		err = command.Run()
		const found = 3 // of govulncheck
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == found {
			return errors.New("its code reaches known vulnerabilities; move to the versions with the fixes that govulncheck prints")
		}
		if err != nil {
			return fmt.Errorf("could not be looked at: govulncheck: %w", err)
		}
		return nil
	}
}
