// Package azure is a strict simulated Azure, served to the real Pulumi engine as the resource
// provider azure-native. It refuses, on a laptop, a deployment that Azure would refuse, with
// Azure's own kind of error. A feature that it does not know is an error too, and is never accepted
// in silence. The package puts together the resource manager (package arm) and the services
// (package services).
package azure

import (
	"context"
	"time"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
	"github.com/gridos/sharedinfra/lab/internal/azure/services"
)

// The types of the resource manager and of the services that callers use.
type (
	// Backend is a target to which an Application Gateway sends requests.
	Backend = services.Backend
	// Control lets the lab read and control a simulated Azure that another process serves.
	Control = arm.Control
	// Event is an operation that has ended.
	Event = arm.Event
	// Existing is a resource of another owner.
	Existing = arm.Existing
	// IngressGateway is an ingress gateway of the cluster's service mesh.
	IngressGateway = services.IngressGateway
	// Kubernetes is the implementation behind a simulated AKS cluster.
	Kubernetes = services.Kubernetes
	// Node is a node that the cluster should have.
	Node = services.Node
	// Operation says what is done to a resource.
	Operation = arm.Operation
	// Resource is an entry of the inventory.
	Resource = arm.Resource
	// ServiceError is an answer with which Azure fails a request.
	ServiceError = arm.ServiceError
	// WorkloadLogin is the login that a workload of a cluster presents to Entra ID.
	WorkloadLogin = services.WorkloadLogin
)

// The operations that Options.Faults is asked about, and the defaults of Options.
const (
	OperationCreate = arm.OperationCreate
	OperationRead   = arm.OperationRead
	OperationUpdate = arm.OperationUpdate
	OperationDelete = arm.OperationDelete
	OperationInvoke = arm.OperationInvoke

	DefaultSubscriptionID = arm.DefaultSubscriptionID
	DefaultTenantID       = arm.DefaultTenantID
	DefaultObjectID       = arm.DefaultObjectID
)

// ExchangeAudience is the audience of the tokens that Entra ID exchanges.
const ExchangeAudience = services.ExchangeAudience

// ErrSecretNotFound is services.ErrSecretNotFound.
var ErrSecretNotFound = services.ErrSecretNotFound

// Options configure a simulated Azure. They are those of arm.Options, and Kubernetes.
type Options struct {
	StateFile                          string
	TimeScale                          float64
	SubscriptionID, TenantID, ObjectID string
	// Kubernetes is the implementation behind AKS. Without it nodes are ignored, and asking for
	// credentials fails.
	Kubernetes Kubernetes
	// StrictCounts refuses a request whose number of nodes differs from that of an autoscaled pool.
	// Without it the request sets the number.
	StrictCounts    bool
	Faults          func(op Operation, typ, id string) error
	RolePropagation *time.Duration
	Existing        []Existing
	// RestrictedRegions are the regions where Azure creates no zone-redundant PostgreSQL server for
	// this subscription.
	RestrictedRegions []string
	Observe           func(Event)
}

// Cloud is a simulated Azure subscription with all services. It is safe for concurrent use.
type Cloud struct {
	*arm.Cloud
	kubernetes Kubernetes
}

// Open returns a simulated Azure with the resources of its state file, if there is one, and the
// existing ones of its options. The error names the file and says why it cannot be read, or says
// which resource cannot exist, and why.
func Open(options Options) (*Cloud, error) {
	cloud, err := arm.Open(arm.Options{
		StateFile: options.StateFile, TimeScale: options.TimeScale,
		SubscriptionID: options.SubscriptionID, TenantID: options.TenantID, ObjectID: options.ObjectID,
		Faults: options.Faults, RolePropagation: options.RolePropagation, RestrictedRegions: options.RestrictedRegions,
		Existing: options.Existing, Observe: options.Observe,
	}, services.New(services.Options{Kubernetes: options.Kubernetes, StrictCounts: options.StrictCounts}))
	if err != nil {
		return nil, err
	}
	return &Cloud{cloud, options.Kubernetes}, nil
}

// Sync is services.Sync.
func (c *Cloud) Sync(ctx context.Context) error { return services.Sync(ctx, c.Cloud, c.kubernetes) }

// Backends is services.Backends.
func (c *Cloud) Backends() []Backend { return services.Backends(c.Cloud) }

// DatabaseServers is services.DatabaseServers.
func (c *Cloud) DatabaseServers() []services.DatabaseServer { return services.DatabaseServers(c.Cloud) }

// LoginServers is services.LoginServers.
func (c *Cloud) LoginServers() []string { return services.LoginServers(c.Cloud) }

// PresentVersion is services.PresentVersion.
func (c *Cloud) PresentVersion(secret string) string { return services.PresentVersion(c.Cloud, secret) }

// Upgrade is services.Upgrade.
func (c *Cloud) Upgrade(ctx context.Context, cluster, version string) error {
	return services.Upgrade(ctx, c.Cloud, cluster, version)
}

// UpgradePool is services.UpgradePool.
func (c *Cloud) UpgradePool(ctx context.Context, cluster, pool, version string) error {
	return services.UpgradePool(ctx, c.Cloud, cluster, pool, version)
}

// RefreshNodeImages is services.RefreshNodeImages.
func (c *Cloud) RefreshNodeImages(ctx context.Context, cluster string) error {
	return services.RefreshNodeImages(ctx, c.Cloud, cluster)
}

// AddPool is services.AddPool.
func (c *Cloud) AddPool(ctx context.Context, pool map[string]any) error {
	return services.AddPool(ctx, c.Cloud, pool)
}

// DeletePool is services.DeletePool. It also gives the Kubernetes behind the cluster the nodes of
// the remaining pools.
func (c *Cloud) DeletePool(ctx context.Context, cluster, pool string) error {
	if err := services.DeletePool(ctx, c.Cloud, cluster, pool); err != nil {
		return err
	}
	return c.Sync(ctx)
}

// PoolVersions is services.PoolVersions.
func (c *Cloud) PoolVersions(cluster string) map[string]string {
	return services.PoolVersions(c.Cloud, cluster)
}

// PoolCounts is services.PoolCounts.
func (c *Cloud) PoolCounts(cluster string) map[string]int {
	return services.PoolCounts(c.Cloud, cluster)
}

// Autoscale is services.Autoscale.
func (c *Cloud) Autoscale(cluster, pool string, count int) error {
	return services.Autoscale(c.Cloud, cluster, pool, count)
}

// SecretVersion is services.SecretVersion.
func (c *Cloud) SecretVersion(login WorkloadLogin, vaultURL, name string) (uri string, err error) {
	return services.SecretVersion(c.Cloud, login, vaultURL, name)
}

// Connect is arm.Connect.
func Connect(port int) (*Control, error) { return arm.Connect(port) }

// ExistingGroup is arm.ExistingGroup.
func ExistingGroup(name, location string) Existing { return arm.ExistingGroup(name, location) }

// ExistingVault is services.ExistingVault.
func ExistingVault(group, name, location, tenant string) Existing {
	return services.ExistingVault(group, name, location, tenant)
}

// ExistingSecret is services.ExistingSecret.
func ExistingSecret(group, vault, name string) Existing {
	return services.ExistingSecret(group, vault, name)
}

// ExistingMetricsWorkspace is services.ExistingMetricsWorkspace.
func ExistingMetricsWorkspace(group, name, location string) Existing {
	return services.ExistingMetricsWorkspace(group, name, location)
}

// Unseeded is arm.Unseeded.
func Unseeded(resources []Resource) []Resource { return arm.Unseeded(resources) }
