package program

import (
	"fmt"
	"regexp"

	"github.com/gridos/sharedinfra/config"
	"github.com/gridos/sharedinfra/infra/cluster"
	"github.com/gridos/sharedinfra/infra/database"
	"github.com/gridos/sharedinfra/infra/gateway"
	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/monitoring"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/registry"
	"github.com/gridos/sharedinfra/infra/vault"
	"github.com/gridos/sharedinfra/naming"
)

// Settings is the whole configuration of gridos-infra; Pulumi.yaml describes each key.
type Settings struct {
	// Location is the Azure region, such as westeurope.
	Location string
	Names    naming.Names
	Deployer identity.Deployer
	Network  network.Plan
	Cluster  cluster.Settings
	Database database.Settings
	Gateway  gateway.Settings
	Registry registry.Settings
	Vault    vault.Settings
	// Monitoring is the Log Analytics workspace.
	Monitoring monitoring.Settings
	// SubscriptionID is the subscription that the environment belongs to, or "" for whichever the caller signed in to.
	SubscriptionID string
	// Protect refuses to delete what holds state: the cluster, the database server and the vault.
	Protect bool
}

var location = regexp.MustCompile(`^[a-z]+[a-z0-9]*$`)

// Load reads Settings for environment. Its error is a *config.Error with every mistake.
func Load(r *config.Reader, environment string) (Settings, error) {
	s := Settings{
		Location:   r.Text("location"),
		Deployer:   identity.LoadDeployer(r),
		Network:    network.Load(r),
		Cluster:    cluster.Load(r),
		Database:   database.Load(r),
		Gateway:    gateway.Load(r),
		Registry:   registry.Load(r),
		Vault:      vault.Load(r),
		Monitoring: monitoring.Load(r),
		Protect:    r.Bool("protect"),

		SubscriptionID: r.String("subscriptionId"),
	}
	if !location.MatchString(s.Location) {
		r.Check("location", fmt.Errorf("%q is not the name of a region; write it like westeurope", s.Location))
	}
	if s.SubscriptionID != "" {
		identity.CheckObjectID(r, "subscriptionId", s.SubscriptionID)
	}
	names, err := naming.For(environment, r.String("nameSuffix"))
	r.Check("nameSuffix", err)
	s.Names = names
	return s, r.Err()
}
