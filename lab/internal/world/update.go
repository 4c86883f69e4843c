package world

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/gridos/sharedinfra/internal/changes"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// UpBuilt brings a new environment up with the programs and the stack files of another commit. It
// delivers from Git; UpBuilt waits until Argo CD has synced the application. Everything else is as
// in Up: the simulated Azure, the tools and the overrides are this commit's.
func UpBuilt(ctx context.Context, s site.Site, display *progress.Display, built engine.Built) error {
	m, e, overrides, err := begin(ctx, s, display, DeliveryYes)
	if err != nil {
		return err
	}
	// The programs of 0.1.0 refuse the keys that have notifications sent to the lab's receiver.
	_, err = os.Stat(filepath.Join(built.Checkout, stacks.Bootstrap.Directory, "notifications"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		maps.DeleteFunc(overrides[stacks.Bootstrap.Name], func(key string, _ any) bool { return strings.HasPrefix(key, "notifications") })
	case err != nil:
		return err
	}
	if _, err := e.UpBuilt(ctx, built, overrides); err != nil {
		return err
	}
	return m.awaitDelivery(ctx)
}

// Update is what the update of a project did.
type Update struct {
	engine.Result
	// Made are the changes, resource by resource.
	Made changes.Project
}

// UpdateAll brings an environment that is up to the working tree's programs, and reports what that
// changed. It does not wait for the application.
func UpdateAll(ctx context.Context, s site.Site, display *progress.Display) (updates []Update, err error) {
	_, e, overrides, err := begin(ctx, s, display, DeliveryAsItIs)
	if err != nil {
		return nil, err
	}
	for _, project := range stacks.Projects() {
		var update Update
		if update.Result, update.Made, err = e.UpdateOne(ctx, project, overrides); err != nil {
			return updates, err
		}
		updates = append(updates, update)
	}
	return updates, nil
}
