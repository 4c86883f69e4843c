package daemon

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/delivery/page"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/atomicfile"
	"github.com/gridos/sharedinfra/lab/internal/host/process"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
)

// servePage serves the page on which a person watches the lab, at the port that it had before if
// that is free.
func servePage(ctx context.Context, s site.Site, cloud *azure.Cloud) (*page.Server, error) {
	port, err := keptPort(s)
	if err != nil {
		return nil, err
	}
	shown, err := page.Serve(ctx, page.Options{
		Port: port, Environment: s.Environment, Documents: filepath.Join(s.Repository, "docs"), Scenarios: s.ScenariosFile(),
		Stacks: func() ([]page.Stack, error) { return stacksOf(s) },
		Azure:  func() []page.Kind { return kindsOf(cloud.Inventory()) },
	})
	if err != nil {
		return nil, err
	}
	_, text, _ := strings.Cut(shown.Address(), ":")
	if err := atomicfile.Write(s.PageFile(), []byte(text)); err != nil {
		return nil, errors.Join(err, shown.Stop())
	}
	return shown, nil
}

func keptPort(s site.Site) (int, error) {
	if text, err := os.ReadFile(s.PageFile()); err == nil {
		if port, err := strconv.Atoi(string(text)); err == nil {
			return port, nil
		}
	}
	free, err := process.FreePorts(1)
	if err != nil {
		return 0, err
	}
	return free[0], nil
}

func stacksOf(s site.Site) ([]page.Stack, error) {
	operations, err := engine.LastOperations(s)
	if err != nil {
		return nil, err
	}
	var all []page.Stack
	for _, o := range operations {
		shown := page.Stack{
			Name: o.Project.Name, Operation: o.Kind, Result: o.Result, Began: o.Began, Ended: o.Ended, Running: o.Running, Why: o.Why,
		}
		if o.Kind != "" {
			shown.Summary = o.Summary()
		}
		all = append(all, shown)
	}
	return all, nil
}

// kindsOf sorts resources, which are sorted by their ids, by their types.
func kindsOf(resources []azure.Resource) []page.Kind {
	all := []page.Kind{}
	at := map[string]int{}
	for _, r := range resources {
		i, known := at[r.Type]
		if !known {
			i = len(all)
			at[r.Type], all = i, append(all, page.Kind{Type: r.Type})
		}
		all[i].Names = append(all[i].Names, r.Name)
	}
	slices.SortFunc(all, func(a, b page.Kind) int { return cmp.Compare(a.Type, b.Type) })
	return all
}
