package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Operation is the last operation on a stack that changed it, or tried to.
type Operation struct {
	Project stacks.Project
	// Kind is update, refresh, destroy or import; it is empty if there was none.
	Kind string
	// Result is succeeded or failed, and Changes counts the resources by what was done.
	Result  string
	Changes map[string]int
	// Why has the engine's errors if it failed, as the lab's log has them.
	Why string
	// Began and Ended are in whole seconds.
	Began, Ended time.Time
	// Running says that an operation is under way.
	Running bool
}

// Summary says what changed, such as "34 created".
func (o Operation) Summary() string { return Result{Changes: o.Changes}.Summary() }

// LastOperations returns the last operation on each stack of an environment, in the order in which
// they are brought up. It reads the files of the backend, also of the user's own pulumi, and starts
// no CLI.
func LastOperations(s site.Site) ([]Operation, error) {
	var all []Operation
	for _, project := range stacks.Projects() {
		last, err := lastOperation(s, project)
		if err != nil {
			return nil, fmt.Errorf("the history of stack %s/%s: %w", project.Name, s.Environment, err)
		}
		all = append(all, last)
	}
	return all, nil
}

// lastOperation reads the newest file of a stack's history, <stack>-<nanoseconds>.history.json
// (Pulumi 3.246.0, pkg/backend/diy/state.go, addToHistory). Its content is UpdateInfo of
// pkg/backend/updates.go.
func lastOperation(s site.Site, project stacks.Project) (last Operation, err error) {
	last.Project = project
	if last.Running, err = isLocked(s, project); err != nil {
		return last, err
	}
	dir := filepath.Join(s.BackendDir(), ".pulumi", "history", project.Name, s.Environment)
	entries, err := os.ReadDir(dir) // sorted by name, so by time
	if err != nil {
		return last, ignoreMissing(err)
	}
	newest := ""
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".history.json") {
			newest = entry.Name()
		}
	}
	if newest == "" {
		return last, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, newest))
	if err != nil {
		return last, ignoreMissing(err)
	}
	var known struct {
		Kind            string
		StartTime       int64
		EndTime         int64
		Result          string
		ResourceChanges map[string]int
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return last, nil //nolint:nilerr // it is being written
	}
	last.Kind, last.Result, last.Changes = known.Kind, known.Result, known.ResourceChanges
	last.Began, last.Ended = time.Unix(known.StartTime, 0).UTC(), time.Unix(known.EndTime, 0).UTC()
	if last.Result == "failed" {
		last.Why = errorsIn(s.LogFile(project.Name+"-"+verbs[last.Kind]), last.Began)
	}
	return last, nil
}

// verbs are the lab's names of the kinds of operations.
var verbs = map[string]string{"update": upOperation(nil).verb, "destroy": downOperation().verb}

// errorsIn returns the errors of an operation in the log of the CLI, without the one that only says
// that there was one; or "" if the operation was not the lab's.
func errorsIn(log string, since time.Time) string {
	info, err := os.Stat(log)
	if err != nil || info.ModTime().Before(since) {
		return ""
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		said, is := strings.CutPrefix(strings.TrimSpace(line), "error: ")
		if is && !strings.HasSuffix(said, " failed") && !slices.Contains(found, said) {
			found = append(found, said)
		}
	}
	return strings.Join(found, "; ")
}

// isLocked reports whether a live process holds a lock of the backend on the stack.
func isLocked(s site.Site, project stacks.Project) (bool, error) {
	locks, err := lockFiles(s, project.Name)
	if err != nil {
		return false, err
	}
	for _, path := range locks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // its holder has finished
		}
		var holder lockHolder
		if json.Unmarshal(text, &holder) != nil {
			continue // it is being written
		}
		if alive, err := holder.alive(); err != nil || alive {
			return alive, err
		}
	}
	return false, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
