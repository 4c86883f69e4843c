// Package drill plays disasters in a lab that delivers from Git, and the documented recovery from
// each.
package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
	"github.com/gridos/sharedinfra/lab/internal/delivery/traffic"
	"github.com/gridos/sharedinfra/lab/internal/host/kube"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/proofs/integrity"
	"github.com/gridos/sharedinfra/lab/proofs/labcli"
)

// Drill is a disaster.
type Drill struct {
	// Name is its name on the command line.
	Name string
	// Promise is the promise that is checked after the recovery, in a sentence.
	Promise string
	// disaster causes the disaster.
	disaster func(ctx context.Context, s *stage) error
	// sameSecrets says that every password must be the same after the recovery.
	sameSecrets bool
	// held returns the observations, or the reason why the promise does not hold.
	held func(ctx context.Context, s *stage) (evidence string, err error)
}

// Result is the result of a drill.
type Result struct {
	Name    string `json:"name"`
	Promise string `json:"promise"`
	// Recovery and Up are how long the two commands took, in seconds.
	Recovery float64 `json:"recoverySeconds"`
	Up       float64 `json:"upSeconds"`
	Evidence string  `json:"evidence,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// All returns the drills, in the order in which they are played.
func All() []Drill {
	return []Drill{
		{
			"argocd-deleted", "bootstrap restores Argo CD, neither Applications nor what they deployed are touched, and no user notices",
			deleteArgoCD, true, workloadsAreTheSame,
		},
		{
			"vault-purged", "the key vault is back with the secrets that it had, and nothing else was created or replaced",
			purgeVault, true, onlyTheVaultIsNew,
		},
		{
			"state-lost", "everything in Azure is adopted, nothing is replaced, and no user notices",
			loseState, false, nothingIsNew,
		},
		{
			"cluster-lost", "cluster, platform and application come back from the state and from Git",
			loseCluster, true, theApplicationIsBack,
		},
	}
}

// stage is the lab in which a drill is played.
type stage struct {
	lab labcli.Lab
	// creations distinguish the resources in Azure before the disaster from later ones with the
	// same id.
	creations map[string]string
	// workloads are the UIDs, by kind and name, of the objects that Argo CD keeps and deploys;
	// image is the image that the application ran.
	workloads map[string]string
	image     string
	// users is the users' experience so far.
	users traffic.Seen
}

// Play plays drills one after the other in an environment that is up with --gitops. The error is
// that of the first drill whose promise does not hold.
func Play(ctx context.Context, lab labcli.Lab, drills []Drill, display *progress.Display) ([]Result, error) {
	var results []Result
	for _, d := range drills {
		step := display.Start(d.Name)
		result, err := play(ctx, lab, d)
		if err != nil {
			result.Error = err.Error()
			step.Fail(err)
			return append(results, result), fmt.Errorf("%s: %w", d.Name, err)
		}
		step.Done(fmt.Sprintf("recovered in %.0f s, up in %.0f s: %s", result.Recovery, result.Up, result.Evidence))
		results = append(results, result)
	}
	return results, nil
}

func play(ctx context.Context, lab labcli.Lab, d Drill) (Result, error) {
	result := Result{Name: d.Name, Promise: d.Promise}
	s := &stage{lab: lab}
	if err := s.look(ctx); err != nil {
		return result, err
	}
	secrets, err := integrity.Read(ctx, lab.Site)
	if err != nil {
		return result, err
	}
	if err := d.disaster(ctx, s); err != nil {
		return result, fmt.Errorf("the disaster did not happen: %w", err)
	}
	for _, command := range []struct {
		name string
		took *float64
	}{{"recover", &result.Recovery}, {"up", &result.Up}} {
		began := time.Now()
		if _, err := lab.Run(ctx, command.name); err != nil {
			return result, err
		}
		*command.took = time.Since(began).Seconds()
	}
	if !d.sameSecrets {
		secrets = nil
	}
	if err := integrity.Check(ctx, lab.Site, secrets); err != nil {
		return result, err
	}
	if result.Evidence, err = d.held(ctx, s); err != nil {
		return result, err
	}
	_, err = lab.Run(ctx, "up", "--expect-no-changes")
	return result, err
}

// look records the present objects.
func (s *stage) look(ctx context.Context) error {
	var err error
	if s.creations, err = s.inAzure(ctx); err != nil {
		return err
	}
	if s.workloads, s.image, err = s.deployed(ctx); err != nil {
		return err
	}
	client, err := s.client()
	if err == nil {
		err = client.SetRate(ctx, gitops.RequestRate)
	}
	if err == nil {
		s.users, err = client.Seen(ctx)
	}
	return err
}

// client knows the users.
func (s *stage) client() (*gitops.Client, error) {
	client, ok, err := gitops.Connect(s.lab.Site.GitOpsDir())
	if err == nil && !ok {
		err = errors.New("the application has no users; bring the lab up with --gitops")
	}
	return client, err
}

// inAzure returns the creation of each resource, by its id.
func (s *stage) inAzure(ctx context.Context) (creations map[string]string, err error) {
	control, err := daemon.Control(s.lab.Site)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	all, err := control.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	creations = map[string]string{}
	for _, r := range azure.Unseeded(all) {
		if creations[r.ID], err = control.Creation(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	return creations, nil
}

func (s *stage) clients() (*kube.Clients, error) {
	return kube.Connect(s.lab.Site.KubeconfigFile())
}

// deployed returns the UIDs of the Applications and of the application's objects, and the image
// that it runs.
func (s *stage) deployed(ctx context.Context) (uids map[string]string, image string, err error) {
	clients, err := s.clients()
	if err != nil {
		return nil, "", err
	}
	uids = map[string]string{}
	for _, kind := range []struct {
		resource  dynamic.NamespaceableResourceInterface
		namespace string
	}{
		{clients.Objects.Resource(argo.Applications), naming.NamespaceArgoCD},
		{clients.Objects.Resource(argo.Rollouts), naming.NamespaceGridOS},
		{clients.Objects.Resource(argo.VirtualServices), naming.NamespaceGridOS},
	} {
		list, err := kind.resource.Namespace(kind.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, "", err
		}
		for _, object := range list.Items {
			uids[object.GetKind()+" "+object.GetName()] = string(object.GetUID())
		}
	}
	observer, err := argo.Observe(ctx, clients.Objects, naming.NamespaceGridOS+"-"+s.lab.Site.Environment)
	if err != nil {
		return nil, "", err
	}
	defer observer.Stop()
	state, err := observer.State()
	if err != nil {
		return nil, "", err
	}
	if state.Rollout.Image() == "" {
		return nil, "", errors.New("the application is not deployed; bring the lab up with --gitops")
	}
	return uids, state.Rollout.Image(), nil
}

// forget deletes the one resource of an ARM type, with everything in it, and ends the background
// process, as a power cut at that moment would.
func (s *stage) forget(ctx context.Context, kind string) error {
	control, err := daemon.Control(s.lab.Site)
	if err != nil {
		return err
	}
	all, err := control.Inventory(ctx)
	found := slices.DeleteFunc(azure.Unseeded(all), func(r azure.Resource) bool { return !strings.EqualFold(r.Type, kind) })
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("there are %d resources of type %s; there must be one", len(found), kind)
	}
	if err == nil {
		err = control.Forget(ctx, found[0].ID)
	}
	if err := errors.Join(err, control.Close()); err != nil {
		return err
	}
	return daemon.Stop(ctx, s.lab.Site)
}

// newInAzure returns the ids of the resources that were created after the disaster.
func (s *stage) newInAzure(ctx context.Context) ([]string, error) {
	now, err := s.inAzure(ctx)
	var created []string
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if now[id] != s.creations[id] {
			created = append(created, id)
		}
	}
	return created, err
}

// workloadsAreTheSame compares UIDs, because an object that was deleted and created again has
// another one, and checks the users' requests.
func workloadsAreTheSame(ctx context.Context, s *stage) (string, error) {
	now, image, err := s.deployed(ctx)
	if err != nil {
		return "", err
	}
	var problems []error
	for name, uid := range s.workloads {
		if now[name] != uid {
			problems = append(problems, fmt.Errorf("%s is not the one that it was", name))
		}
	}
	if image != s.image {
		problems = append(problems, fmt.Errorf("the application runs %s instead of %s", image, s.image))
	}
	client, err := s.client()
	if err != nil {
		return "", err
	}
	after, err := client.Seen(ctx)
	if err != nil {
		return "", err
	}
	seen := after.Since(s.users)
	requests, failed := seen.Requests()
	if failed > 0 || requests < traffic.Enough {
		problems = append(problems, fmt.Errorf("%d of the users' %d requests failed; none should, of %d or more; the last: %s",
			failed, requests, traffic.Enough, seen.LastFailure))
	}
	return fmt.Sprintf("%d objects are the same, 0 of %d requests failed", len(s.workloads), requests), errors.Join(problems...)
}

func purgeVault(ctx context.Context, s *stage) error {
	return s.forget(ctx, "Microsoft.KeyVault/vaults")
}

func onlyTheVaultIsNew(ctx context.Context, s *stage) (string, error) {
	created, err := s.newInAzure(ctx)
	if err != nil {
		return "", err
	}
	vault, others := 0, []error{}
	for _, id := range created {
		if strings.Contains(strings.ToLower(id), "/providers/microsoft.keyvault/vaults/") {
			vault++
			continue
		}
		others = append(others, fmt.Errorf("%s was created again", id))
	}
	if vault == 0 {
		others = append(others, errors.New("the vault is still the old one"))
	}
	evidence := fmt.Sprintf("the vault and %d resources in it are new, no other is", vault-1)
	return evidence, errors.Join(others...)
}

// loseState deletes the states of all projects, and their history.
func loseState(_ context.Context, s *stage) error {
	return os.RemoveAll(s.lab.Site.BackendDir())
}

func nothingIsNew(ctx context.Context, s *stage) (string, error) {
	created, err := s.newInAzure(ctx)
	if err != nil {
		return "", err
	}
	if len(created) > 0 {
		return "", fmt.Errorf("created again: %s", strings.Join(created, ", "))
	}
	same, err := workloadsAreTheSame(ctx, s)
	return fmt.Sprintf("%d resources of Azure and %s", len(s.creations), same), err
}

// loseCluster deletes the cluster in Azure, with everything in it.
func loseCluster(ctx context.Context, s *stage) error {
	if err := s.forget(ctx, "Microsoft.ContainerService/managedClusters"); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.lab.Site.ControlPlaneDir()), os.RemoveAll(s.lab.Site.KubeconfigFile()))
}

func theApplicationIsBack(ctx context.Context, s *stage) (string, error) {
	now, image, err := s.deployed(ctx)
	if err != nil {
		return "", err
	}
	var problems []error
	for name, uid := range s.workloads {
		switch now[name] {
		case "":
			problems = append(problems, fmt.Errorf("%s is not back", name))
		case uid:
			problems = append(problems, fmt.Errorf("%s was never away", name))
		}
	}
	if image != s.image {
		problems = append(problems, fmt.Errorf("the application runs %s instead of %s", image, s.image))
	}
	return fmt.Sprintf("%d objects are back, with the image from before", len(s.workloads)), errors.Join(problems...)
}
