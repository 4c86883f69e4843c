package preflight

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gridos/sharedinfra/infra/cluster"
	"github.com/gridos/sharedinfra/infra/database"
	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/program"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/config/projectfile"
	"github.com/gridos/sharedinfra/stacks"
)

// Needs is what an environment needs of its subscription.
type Needs struct {
	Environment, Location string
	// SubscriptionID is the subscription that the environment belongs to, or "" for the one that is
	// signed in to.
	SubscriptionID string
	// Pools are the node pools, each with the fewest and the most nodes that it has.
	Pools []cluster.Pool
	Zones []string
	// KubernetesVersion is a minor version, and MeshRevisions are the configured revisions of the
	// mesh.
	KubernetesVersion string
	MeshRevisions     []string
	Defender          bool
	// DeleteLock and PodSecurity take roles that Contributor does not have.
	DeleteLock, PodSecurity bool
	Database                database.Settings
	Vault                   string
	// Examples are addresses of alerts to which no mail is delivered.
	Examples []string
	// Namespaces are the resource providers that have to be registered.
	Namespaces []string
	// Roles are those that the deployer has to be allowed to assign.
	Roles []identity.Role
}

// NeedsOf returns what an environment with these settings needs.
func NeedsOf(environment string, s program.Settings) Needs {
	return Needs{
		Environment: environment, Location: s.Location, SubscriptionID: s.SubscriptionID,
		Pools: []cluster.Pool{s.Cluster.SystemPool, s.Cluster.UserPool}, Zones: s.Cluster.Zones,
		KubernetesVersion: s.Cluster.KubernetesVersion, MeshRevisions: s.Cluster.IstioRevisions, Defender: s.Cluster.Defender,
		DeleteLock: s.DeleteLock, PodSecurity: s.AssignsPodSecurity(),
		Database: s.Database, Vault: s.Names.Vault, Examples: s.Alerts.Examples(),
		Namespaces: program.Namespaces(), Roles: identity.Assigned(s.Monitoring.MetricsWorkspaceID != ""),
	}
}

// Read returns what the environment needs by the configuration in the checkout repository, as the
// program itself reads it. Its error has every mistake in the configuration.
func Read(ctx context.Context, repository, environment string) (Needs, error) {
	values, err := projectfile.Config(ctx, filepath.Join(repository, stacks.Infra.Directory), environment)
	if err != nil {
		return Needs{}, err
	}
	settings, err := program.Load(config.FromMap(stacks.Infra.Name, environment, values), environment)
	if err != nil {
		return Needs{}, fmt.Errorf("%s cannot be deployed as it is configured: %w", environment, err)
	}
	return NeedsOf(environment, settings), nil
}
