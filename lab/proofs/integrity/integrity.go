// Package integrity checks whether an environment that is up is whole: whether its states, Azure
// and the cluster agree.
package integrity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"golang.org/x/crypto/bcrypt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/daemon"
	"github.com/gridos/sharedinfra/lab/internal/engine"
	"github.com/gridos/sharedinfra/lab/internal/host/progress"
	"github.com/gridos/sharedinfra/lab/internal/host/site"
	"github.com/gridos/sharedinfra/stacks"
)

// Secrets are the passwords in the states of an environment.
type Secrets struct {
	passwords map[string]string // by the URN of the resource that made them
}

func open(s site.Site) (*engine.Engine, error) {
	record, running, err := s.Running()
	if err != nil {
		return nil, err
	}
	if !running {
		return nil, fmt.Errorf("the lab of %s does not run", s.Environment)
	}
	return engine.New(s, record, progress.New(io.Discard))
}

// Read reads the secrets of an environment that is up, so that Check can compare later ones with
// them. The error names a lost one.
func Read(ctx context.Context, s site.Site) (*Secrets, error) {
	e, err := open(s)
	if err != nil {
		return nil, err
	}
	states, err := e.States(ctx)
	if err != nil {
		return nil, err
	}
	return passwords(states)
}

func passwords(states map[string]engine.State) (*Secrets, error) {
	found := &Secrets{passwords: map[string]string{}}
	for _, state := range states {
		for _, r := range state.Resources {
			if r.Type != "random:index/randomPassword:RandomPassword" {
				continue
			}
			password, ok := plaintext(r.Outputs["result"])
			if !ok || password == "" {
				return nil, fmt.Errorf("the state has lost the password %s", r.URN)
			}
			found.passwords[string(r.URN)] = password
		}
	}
	if len(found.passwords) == 0 {
		return nil, errors.New("the states have no password at all")
	}
	return found, nil
}

// plaintext returns the secret text in an opened state.
func plaintext(value any) (string, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		return "", false
	}
	encoded, ok := object["plaintext"].(string)
	if !ok {
		return "", false
	}
	var text string
	return text, json.Unmarshal([]byte(encoded), &text) == nil
}

// Check returns every violation in an environment that is up: Azure has exactly the resources of
// the state, the cluster has those of the states and of Helm's releases, no operation is
// unfinished, no lock is left, and no secret is lost. Unless before is nil, its secrets must not
// have changed.
func Check(ctx context.Context, s site.Site, before *Secrets) (err error) {
	e, err := open(s)
	if err != nil {
		return err
	}
	states, err := e.States(ctx)
	if err != nil {
		return err
	}
	now, err := passwords(states)
	if err != nil {
		return err
	}
	control, err := daemon.Control(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	inventory, err := control.Inventory(ctx)
	if err != nil {
		return err
	}
	inCluster, err := openCluster(s.KubeconfigFile())
	if err != nil {
		return err
	}
	problems := []error{
		sameResources(states[stacks.Infra.Name].Resources, azure.Unseeded(inventory)),
		sameValues(states[stacks.Infra.Name].Resources, func(id, path, value string) (bool, error) {
			return control.Holds(ctx, id, path, value)
		}),
		inCluster.hasReleases(ctx, states[stacks.Bootstrap.Name].Resources),
		inCluster.signsIn(ctx, now),
	}
	for _, project := range []stacks.Project{stacks.Bootstrap, stacks.Apps} {
		problems = append(problems, inCluster.hasState(ctx, states[project.Name].Resources))
	}
	if before != nil && !maps.Equal(before.passwords, now.passwords) {
		problems = append(problems, errors.New("a password is another one than before"))
	}
	for project, state := range states {
		if n := state.Unfinished; n > 0 {
			problems = append(problems, fmt.Errorf("the state of %s has %d operations that are begun and not ended", project, n))
		}
	}
	killed, err := e.Killed()
	problems = append(problems, err)
	if killed {
		problems = append(problems, errors.New("a lock is left on a stack, or a recovery is not complete"))
	}
	return errors.Join(problems...)
}

// sameResources compares the ids in the state with the inventory.
func sameResources(state []apitype.ResourceV3, inventory []azure.Resource) error {
	known := map[string]int{}
	for _, r := range state {
		if strings.HasPrefix(string(r.Type), "azure-native:") && r.Custom && !r.External {
			known[strings.ToLower(string(r.ID))]++
		}
	}
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if n := known[id]; n > 1 {
			problems = append(problems, fmt.Errorf("the state has %s %d times", id, n))
		}
	}
	for _, r := range inventory {
		id := strings.ToLower(r.ID)
		if known[id] == 0 {
			problems = append(problems, fmt.Errorf("%s is in Azure and not in the state", r.ID))
		}
		delete(known, id)
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		problems = append(problems, fmt.Errorf("%s is in the state and not in Azure", id))
	}
	return errors.Join(problems...)
}

// kept are the secrets in Azure, by the last part of the type of the resource, with the input that
// has the secret.
var kept = map[string][]string{"Secret": {"properties", "value"}, "Server": {"administratorLoginPassword"}}

// sameValues checks whether Azure has the same secrets as the state; holds checks one, by its
// resource's id and its path.
func sameValues(state []apitype.ResourceV3, holds func(id, path, value string) (bool, error)) error {
	var problems []error
	compared := 0
	for _, r := range state {
		path, ok := kept[string(r.Type.Name())]
		if !ok || !strings.HasPrefix(string(r.Type), "azure-native:") {
			continue
		}
		value := any(r.Inputs)
		for _, name := range path {
			if object, ok := value.(map[string]any); ok {
				value = object[name]
			}
		}
		secret, ok := plaintext(value)
		if !ok {
			problems = append(problems, fmt.Errorf("the state has lost %s of %s", strings.Join(path, "."), r.ID))
			continue
		}
		same, err := holds(string(r.ID), strings.Join(path, "."), secret)
		if err == nil && !same {
			err = fmt.Errorf("%s of %s is another one in Azure than in the state", strings.Join(path, "."), r.ID)
		}
		problems = append(problems, err)
		compared++
	}
	if compared == 0 {
		problems = append(problems, errors.New("there is no secret in Azure"))
	}
	return errors.Join(problems...)
}

// signsIn checks whether the password in the state is the one with which the administrator signs in
// to Argo CD.
func (c *cluster) signsIn(ctx context.Context, now *Secrets) error {
	const name = "argocd-secret"
	secret, err := c.client.CoreV1().Secrets(naming.NamespaceArgoCD).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	hash := secret.Data["admin.password"]
	for _, password := range now.passwords {
		if bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil {
			return nil
		}
	}
	return fmt.Errorf("no password in the states fits the hash in the secret %s/%s", naming.NamespaceArgoCD, name)
}
