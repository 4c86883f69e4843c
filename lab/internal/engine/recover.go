package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"golang.org/x/sync/errgroup"

	"github.com/gridos/sharedinfra/bootstrap/appproject"
	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// leftoverEnd is how long the processes that a killed command has left may take to notice and to
// end: the CLI first finishes what Azure is doing for it.
const leftoverEnd = time.Minute

// FindID returns the id of the resource in Azure that a type and inputs of a program refer to, if
// it exists.
type FindID func(typ string, inputs map[string]any) (id string, exists bool, err error)

// Recover makes the states agree with Azure and the cluster, after an update was killed, a state
// was lost or a person worked by hand. It removes missing resources from the states, and imports
// resources that are in Azure and in the program but in no state. It changes only the states, and
// returns the ids that were adopted. AwaitLeftovers must come before it. Until Recover has
// completed, Killed reports that it is needed.
func (e *Engine) Recover(ctx context.Context, overrides Overrides, find FindID) (adopted []string, err error) {
	if err := e.needsRecovery(); err != nil {
		return nil, err
	}
	if _, err := e.one(ctx, refreshOperation(), line()[0]); err != nil {
		return nil, err
	}
	if adopted, err = e.adoptAll(ctx, overrides, find, line()[0]); err != nil {
		return nil, err
	}
	// They read the stack of gridos-infra, which must exist by now. gridos owns nothing.
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range line() {
		if p.Project == stacks.Infra || p.Project == stacks.Published {
			continue
		}
		group.Go(func() error {
			_, err := e.one(groupCtx, refreshOperation(), p)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Of the cluster's objects, only Applications are not taken over by their creation, because
	// they are not applied from the server's side.
	applications, err := e.adoptApplications(ctx, overrides, find, false)
	if err != nil {
		return nil, err
	}
	return append(adopted, applications...), e.recovered()
}

// adoptApplications adopts the Applications that are in the cluster and in no state. The program
// reads other stacks. Without their outputs it cannot find the Applications yet; the update that
// makes these outputs adopts them. Without a cluster there are none.
func (e *Engine) adoptApplications(ctx context.Context, overrides Overrides, find FindID, onlyIntoNothing bool) ([]string, error) {
	apps, err := e.partNamed(stacks.Apps)
	if err != nil {
		return nil, err
	}
	if onlyIntoNothing {
		state, err := e.State(ctx, stacks.Apps)
		if err != nil || len(state.Resources) > 0 {
			return nil, err
		}
	}
	states, err := e.States(ctx)
	if err != nil {
		return nil, err
	}
	infra, bootstrap := states[stacks.Infra.Name], states[stacks.Bootstrap.Name]
	hasCluster := slices.ContainsFunc(infra.Resources, func(r apitype.ResourceV3) bool { return r.Type.Name() == "ManagedCluster" })
	hasProjects := true // or gridos-apps would refuse its preview; see apps/preflight
	for _, name := range []string{naming.ProjectGridOS, naming.ProjectPlatform} {
		hasProjects = hasProjects && slices.ContainsFunc(bootstrap.Resources, func(r apitype.ResourceV3) bool {
			return r.Type.Name() == appproject.Kind && string(r.ID) == naming.NamespaceArgoCD+"/"+name
		})
	}
	if !hasCluster || !hasProjects || !infra.hasOutputs() || !bootstrap.hasOutputs() {
		return nil, nil
	}
	return e.adoptAll(ctx, overrides, find, apps)
}

// adoptAll adopts until nothing is left: an adopted resource makes names and ids known with which
// the program finds more.
func (e *Engine) adoptAll(ctx context.Context, overrides Overrides, find FindID, p part) (adopted []string, err error) {
	for {
		ids, err := e.adopt(ctx, overrides, find, p)
		if err != nil || len(ids) == 0 {
			return adopted, err
		}
		adopted = append(adopted, ids...)
	}
}

// AwaitLeftovers waits until no process works on a stack any more, removes the locks of killed
// engines, and ends the providers that they left running. From then on Azure and the cluster do not
// change any more. After a minute, the error names the process that still works.
func (e *Engine) AwaitLeftovers(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, leftoverEnd)
	defer cancel()
	for _, p := range stacks.Projects() {
		var busy error
		err := site.WaitFor(waiting, func() (bool, error) {
			busy = e.unlock(p.Name)
			return busy == nil, nil
		})
		if err != nil {
			return errors.Join(busy, ctx.Err())
		}
	}
	return e.endOrphans(waiting)
}

func refreshOperation() operation {
	return operation{verb: "refresh", run: refreshOne, stack: asItIs, changes: true}
}

func refreshOne(ctx context.Context, s auto.Stack, w *watcher) error {
	refresh := func() error {
		// A creation that was under way when the engine was killed either is in Azure, and is
		// adopted, or has not happened.
		_, err := s.Refresh(ctx, optrefresh.ClearPendingCreates(), optrefresh.EventStreams(w.events()), optrefresh.ProgressStreams(w.log),
			optrefresh.ErrorProgressStreams(w.log), optrefresh.SuppressOutputs())
		return err
	}
	err := refresh()
	if err != nil && ctx.Err() == nil && clusterIsGone(err) {
		s.Workspace().SetEnvVar("PULUMI_K8S_DELETE_UNREACHABLE", "true")
		return refresh()
	}
	return err
}

// adopt imports the resources that the program would create although they exist, as far as their
// ids are known before any adoption.
func (e *Engine) adopt(ctx context.Context, overrides Overrides, find FindID, p part) (adopted []string, err error) {
	file := filepath.Join(e.site.WorkDir(p.Name), "import.json")
	defer func() {
		if removeErr := os.Remove(file); err == nil && !errors.Is(removeErr, os.ErrNotExist) {
			err = removeErr
		}
	}()
	var mu sync.Mutex // the events come during the operation
	planned := map[string]apitype.StepEventStateMetadata{}
	do := operation{
		verb: "adopt", stack: configured(overrides), changes: true,
		counts: func() map[string]int { return map[string]int{string(apitype.OpImport): len(adopted)} },
		see: func(event apitype.EngineEvent) {
			if event.ResourcePreEvent == nil {
				return
			}
			if m := event.ResourcePreEvent.Metadata; m.Op == apitype.OpCreate && m.New != nil {
				mu.Lock()
				defer mu.Unlock()
				planned[importName(m.Type, nameOf(m.URN))] = *m.New
			}
		},
		run: func(ctx context.Context, s auto.Stack, w *watcher) error {
			_, err := s.Preview(ctx, optpreview.ImportFile(file), optpreview.EventStreams(w.events()), optpreview.ProgressStreams(w.log),
				optpreview.ErrorProgressStreams(w.log), optpreview.SuppressOutputs())
			if err != nil {
				return err
			}
			list, err := readImportFile(file)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if adopted, err = list.keepExisting(planned, find); err != nil || len(adopted) == 0 {
				return err
			}
			if err := list.write(file); err != nil {
				return err
			}
			return importResources(ctx, s, w, file)
		},
	}
	if _, err := e.one(ctx, do, p); err != nil {
		return nil, err
	}
	return adopted, nil
}

// importName distinguishes the resources of an import file.
func importName(typ, name string) string { return typ + "::" + name }

// importFile is the file that `pulumi preview --import-file` writes and `pulumi import --file`
// reads.
type importFile struct {
	NameTable      map[string]urn.URN        `json:"nameTable,omitempty"`
	Resources      []map[string]any          `json:"resources,omitempty"`
	ProviderInputs map[string]map[string]any `json:"providerInputs,omitempty"`
}

func readImportFile(path string) (list importFile, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return list, err
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return list, fmt.Errorf("what the CLI would import, %s, is malformed: %w", path, err)
	}
	return list, nil
}

func (f *importFile) write(path string) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// keepExisting keeps only the resources that exist, with their ids, and the components around them.
// It returns the ids.
func (f *importFile) keepExisting(planned map[string]apitype.StepEventStateMetadata, find FindID,
) (ids []string, err error) {
	kept := make([]map[string]any, 0, len(f.Resources))
	needed := map[string]bool{}
	// Children come after their parents, so going backwards a component's children are known.
	for i := len(f.Resources) - 1; i >= 0; i-- {
		r := f.Resources[i]
		name, logical := field(r, "name"), field(r, "logicalName")
		if logical == "" {
			logical = name
		}
		if component, ok := r["component"].(bool); ok && component {
			if !needed[name] {
				continue
			}
		} else {
			id, exists, err := find(field(r, "type"), planned[importName(field(r, "type"), logical)].Inputs)
			if err != nil {
				return nil, err
			}
			if !exists {
				continue
			}
			r["id"] = id
			ids = append(ids, id)
		}
		needed[field(r, "parent")] = true
		kept = append([]map[string]any{r}, kept...)
	}
	f.Resources = kept
	return ids, nil
}

func field(r map[string]any, key string) string {
	text, ok := r[key].(string)
	if !ok {
		return ""
	}
	return strings.TrimSpace(text)
}
