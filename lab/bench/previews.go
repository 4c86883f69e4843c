package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gridos/sharedinfra/lab/bench/figures"
	"github.com/gridos/sharedinfra/lab/bench/floor"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/lab/internal/providers"
	"github.com/gridos/sharedinfra/stacks"
)

// line are the projects in the order in which they go up.
func line() []stacks.Project {
	return []stacks.Project{stacks.Infra, stacks.Bootstrap, stacks.Apps, stacks.Published}
}

const bareProgram = "a bare program: as many resources that are nothing, with the same dependencies"

// previews measures a preview that finds nothing to change. It compares it with the engine alone
// and, if a project has resources in the cluster, with the engine and the Kubernetes provider
// alone.
func previews(ctx context.Context, b *bench) (rows []figures.Row, err error) {
	pairs := map[string][]figures.Pair{}
	var whole []figures.Pair
	err = b.inLab(ctx, []string{"up"}, func(ctx context.Context) (err error) {
		running, err := b.running()
		if err != nil {
			return err
		}
		server, err := providers.Serve(ctx, floor.Provider())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		alone, err := b.floorOf(ctx, running, server.Port, "")
		if err != nil {
			return err
		}
		kubeconfig, err := os.ReadFile(b.site.KubeconfigFile())
		if err != nil {
			return err
		}
		withKubernetes, err := b.floorOf(ctx, running, server.Port, string(kubeconfig))
		if err != nil {
			return err
		}
		defer func() { // the lab may stay up
			_, downErr := withKubernetes.Down(context.WithoutCancel(ctx))
			err = errors.Join(err, downErr)
		}()
		for range b.rounds {
			var sum figures.Pair
			for _, p := range line() {
				pair := figures.Pair{}
				if pair.Ours, err = previewTime(ctx, running, p); err != nil {
					return err
				}
				if pair.Peers, err = previewTime(ctx, alone, p); err != nil {
					return err
				}
				pairs[p.Name] = append(pairs[p.Name], pair)
				sum.Ours, sum.Peers = sum.Ours+pair.Ours, sum.Peers+pair.Peers
				if !inCluster(p) {
					continue
				}
				provider, err := previewTime(ctx, withKubernetes, p)
				if err != nil {
					return err
				}
				id := p.Name + withProvider
				pairs[id] = append(pairs[id], figures.Pair{Ours: pair.Ours, Peers: provider})
			}
			whole = append(whole, sum)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range line() {
		rows = append(rows, figures.Ratio("preview/"+p.Name, "warm preview without changes: "+p.Name, bareProgram, 1.3, pairs[p.Name]))
	}
	rows = append(rows, figures.Ratio("preview/line", "the same, the whole line", bareProgram, 1.3, whole))
	for _, p := range line() {
		if inCluster(p) {
			rows = append(rows, figures.Ratio("preview/"+p.Name+withProvider, "the same, "+p.Name,
				"a bare program whose resources in the cluster are ConfigMaps, by the real provider of Kubernetes", 0,
				pairs[p.Name+withProvider]))
		}
	}
	return rows, nil
}

// withProvider marks the rows whose peer includes the Kubernetes provider, so that its time is not
// counted against the project.
const withProvider = "/kubernetes"

func inCluster(p stacks.Project) bool { return p == stacks.Bootstrap || p == stacks.Apps }

// previewTime previews a project and returns how long the engine took, in seconds.
func previewTime(ctx context.Context, e *engine.Engine, p stacks.Project) (float64, error) {
	result, err := e.PreviewAgain(ctx, p)
	if err != nil {
		return 0, err
	}
	if result.Changed() > 0 || result.Resources == 0 {
		return 0, fmt.Errorf("%s was to be previewed without changes, and would have %s", p.Name, result.Summary())
	}
	return result.Alone.Seconds(), nil
}

// floorOf brings up copies of the running stacks and returns their engine. Their resources are
// empty, except those in the cluster if there is a kubeconfig.
func (b *bench) floorOf(ctx context.Context, running *engine.Engine, port int, kubeconfig string) (*engine.Engine, error) {
	place, err := site.Open(environment)
	if err != nil {
		return nil, err
	}
	place.Dir = filepath.Join(b.dir, "floor")
	if kubeconfig != "" {
		place.Dir += "-kubernetes"
	}
	if err := place.Prepare(); err != nil {
		return nil, err
	}
	alone, err := engine.New(place, site.Record{AzurePort: port, RandomPort: port, Tools: b.tools}, b.display)
	if err != nil {
		return nil, err
	}
	for _, p := range line() {
		state, err := running.State(ctx, p)
		if err != nil {
			return nil, err
		}
		alone.StandIn(p, floor.Like(state.Resources, kubeconfig))
		result, err := alone.UpOne(ctx, p, nil, 0)
		if err != nil {
			return nil, err
		}
		if err := sameSize(ctx, running, p, result); err != nil {
			return nil, err
		}
	}
	return alone, nil
}

// sameSize returns an error unless the engine alone has as many resources to look at as the
// project. With fewer resources it would be no fair peer.
func sameSize(ctx context.Context, running *engine.Engine, p stacks.Project, floor engine.Result) error {
	ours, err := running.PreviewAgain(ctx, p)
	if err != nil {
		return err
	}
	if ours.Resources != floor.Resources {
		return fmt.Errorf("%s has %d resources, and what it is compared with %d", p.Name, ours.Resources, floor.Resources)
	}
	return nil
}

// took returns how long do takes, in seconds.
func took(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return time.Since(began).Seconds(), err
}
