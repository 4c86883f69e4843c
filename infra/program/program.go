// Package program is the Pulumi program of gridos-infra: every Azure resource of one environment,
// nothing in Kubernetes.
package program

import (
	"fmt"

	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
	azurenative "github.com/pulumi/pulumi-azure-native-sdk/v2"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/alerts"
	"github.com/gridos/sharedinfra/infra/cluster"
	"github.com/gridos/sharedinfra/infra/database"
	"github.com/gridos/sharedinfra/infra/endpoint"
	"github.com/gridos/sharedinfra/infra/gateway"
	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/monitoring"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/registry"
	"github.com/gridos/sharedinfra/infra/scope"
	"github.com/gridos/sharedinfra/infra/vault"
	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/versions"
	"github.com/gridos/sharedinfra/policy"
	"github.com/gridos/sharedinfra/stacks"
)

// Program registers the environment that the running stack is named after. A mistake in the
// configuration is an error before anything is registered.
func Program(ctx *pulumi.Context) error {
	settings, err := Load(config.FromContext(ctx), ctx.Stack())
	if err != nil {
		return err
	}
	for _, warning := range settings.Warnings() {
		if err := ctx.Log.Warn(ctx.Project()+":"+warning, nil); err != nil {
			return err
		}
	}
	return policy.Guard(ctx, settings.Policy, settings.register)
}

func (settings Settings) register(ctx *pulumi.Context) error {
	azure, err := azurenative.NewProvider(ctx, "azure", &azurenative.ProviderArgs{
		Location: pulumi.String(settings.Location),
	}, pulumi.Version(versions.AzureNative))
	if err != nil {
		return err
	}
	generator, err := random.NewProvider(ctx, "random", nil, pulumi.Version(versions.Random))
	if err != nil {
		return err
	}
	caller, err := identity.CurrentCaller(ctx, pulumi.Provider(azure))
	if err != nil {
		return err
	}
	if err := caller.CheckSubscription(settings.SubscriptionID); err != nil {
		return err
	}
	outputs, err := environment(ctx, settings, caller, pulumi.Providers(azure, generator))
	if err != nil {
		return fmt.Errorf("%s: %w", ctx.Stack(), err)
	}
	return stacks.Export(ctx, outputs)
}

// environment registers the environment, each concern as soon as the values that it needs exist:
// the order of the statements is not the order in which Azure works.
func environment(
	ctx *pulumi.Context, s Settings, caller identity.Caller, providers pulumi.ResourceOption,
) (stacks.InfraOutputs, error) {
	var none stacks.InfraOutputs
	tags := pulumi.StringMap{
		"environment": pulumi.String(s.Names.Environment),
		"owner":       pulumi.String(s.Owner),
		"cost-centre": pulumi.String(s.CostCentre),
		"managed-by":  pulumi.String("pulumi"),
		"project":     pulumi.String(ctx.Project()),
	}
	deployer := s.Deployer.Principal(caller)
	name := s.Names.Environment
	group, err := resources.NewResourceGroup(ctx, name+"-group", &resources.ResourceGroupArgs{
		ResourceGroupName: pulumi.String(s.Names.ResourceGroup),
		Location:          pulumi.String(s.Location),
		Tags:              tags,
	}, providers, pulumi.Protect(s.Protect))
	if err != nil {
		return none, err
	}
	place := scope.Scope{
		Names: s.Names, Location: s.Location, ResourceGroupName: group.Name, Tags: tags, Protect: s.Protect,
	}
	logs, err := monitoring.New(ctx, name+"-monitoring", monitoring.Args{
		Scope: place, Settings: s.Monitoring,
	}, providers)
	if err != nil {
		return none, err
	}
	place.Diagnostics = logs.Sink
	net, err := network.New(ctx, name+"-network", network.Args{
		Scope: place, Plan: s.Network, SubscriptionID: caller.SubscriptionID, VaultEndpoint: !s.Vault.Private,
		Egress: s.Egress, AddressZones: s.addressZones(),
	}, providers)
	if err != nil {
		return none, err
	}
	images, err := registry.New(ctx, name+"-registry", registry.Args{Scope: place, Settings: s.Registry}, providers)
	if err != nil {
		return none, err
	}
	secrets, err := vault.New(ctx, name+"-vault", vault.Args{
		Scope: place, Settings: s.Vault, Caller: caller, Deployer: deployer,
		AuthorizedRanges: s.AuthorizedRanges, NodesSubnetID: net.AKSSubnetID, NetworkSettled: net.Settled,
	}, providers)
	if err != nil {
		return none, err
	}
	for _, private := range []struct {
		wanted  bool
		part    string
		name    string
		service endpoint.Service
		target  pulumi.StringInput
		way     *[]pulumi.Resource // where to note the way to it, or nil
	}{
		{s.Vault.Private, "vault", s.Names.VaultEndpoint, endpoint.KeyVault, secrets.ID, &secrets.Access},
		{s.Registry.Private, "registry", s.Names.RegistryEndpoint, endpoint.Registry, images.ID, nil},
	} {
		if !private.wanted {
			continue
		}
		made, err := endpoint.New(ctx, name+"-"+private.part+"-private", endpoint.Args{
			Scope: place, Name: private.name, Service: private.service,
			TargetID: private.target, SubnetID: net.EndpointsSubnetID, NetworkID: net.ID, NetworkName: s.Names.VirtualNetwork,
			OperatorNetworkID: s.Network.OperatorNetwork.ID, NetworkSettled: net.Settled,
		}, providers)
		if err != nil {
			return none, err
		}
		if private.way != nil {
			*private.way = append(*private.way, made.Path...)
		}
	}
	// The tokens that field gateways show to the application when they send telemetry.
	if err := secrets.NewTokens(ctx, name+"-ingest-token", s.Vault.IngestSenders, vault.TokensArgs{
		Scope: place, SecretName: s.Names.IngestTokenSecret,
	}); err != nil {
		return none, err
	}
	db, err := database.New(ctx, name+"-database", database.Args{
		Scope: place, Settings: s.Database,
		SubnetID: net.PostgresSubnetID, ZoneID: net.PostgresZoneID, ZoneLink: net.PostgresZoneLink,
		NetworkSettled: net.Settled,
		VaultName:      secrets.Name, VaultAccess: secrets.Access, TenantID: caller.TenantID,
	}, providers)
	if err != nil {
		return none, err
	}
	aks, err := cluster.New(ctx, name+"-cluster", cluster.Args{
		Scope: place, Settings: s.Cluster, Plan: s.Network, Caller: caller, Deployer: deployer, Propagation: s.Propagation,
		AuthorizedRanges: s.AuthorizedRanges, WorkspaceID: logs.WorkspaceID, PodLogs: len(s.Monitoring.PodNamespaces) > 0,
		SubnetID: net.AKSSubnetID, NetworkID: net.ID, NetworkSettled: net.Settled, RegistryID: images.ID,
		OutboundType: s.outboundType(), EgressAddresses: net.EgressAddresses,
	}, providers)
	if err != nil {
		return none, err
	}
	if len(s.Monitoring.PodNamespaces) > 0 {
		if _, err := monitoring.NewPodLogs(ctx, name+"-pod-logs", monitoring.PodArgs{
			Scope: place, Namespaces: s.Monitoring.PodNamespaces, WorkspaceID: logs.WorkspaceID, ClusterID: aks.ID,
		}, providers); err != nil {
			return none, err
		}
	}
	// Where Prometheus writes to, and who it is there.
	writeURL, writer := pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()
	if s.Monitoring.MetricsWorkspaceID != "" {
		metrics, err := monitoring.NewMetrics(ctx, name+"-metrics", monitoring.MetricsArgs{
			Scope: place, WorkspaceID: s.Monitoring.MetricsWorkspaceID, SubscriptionID: caller.SubscriptionID, Issuer: aks.OIDCIssuerURL,
		}, providers)
		if err != nil {
			return none, err
		}
		writeURL, writer = metrics.WriteURL, metrics.ClientID
	}
	edge, err := gateway.New(ctx, name+"-gateway", gateway.Args{
		Scope: place, Settings: s.Gateway, SubscriptionID: caller.SubscriptionID,
		SubnetID: net.GatewaySubnetID, NetworkSettled: net.Settled,
		BackendIP: s.Network.IngressIP.String(), Propagation: s.Propagation,
	}, providers)
	if err != nil {
		return none, err
	}
	if s.Alerts.Wanted() {
		if _, err := alerts.New(ctx, name+"-alerts", alerts.Args{
			Scope: place, Settings: s.Alerts, SubscriptionID: caller.SubscriptionID, GroupID: group.ID().ToStringOutput(),
			ClusterID: aks.ID, DatabaseID: db.ID, GatewayID: edge.ID, VaultID: secrets.ID, NodePools: s.Cluster.PoolNames(),
		}, providers); err != nil {
			return none, err
		}
	}
	workloads, err := workloads(ctx, workloadArgs{
		Scope: place, Settings: s, Caller: caller,
		Issuer: aks.OIDCIssuerURL, VaultID: secrets.ID, RegistryID: images.ID,
	}, providers)
	if err != nil {
		return none, err
	}
	if err := s.guard(ctx, name, guardArgs{
		GroupID: group.ID().ToStringOutput(), Caller: caller,
		Kept: []kept{{"database", db.ID}, {"vault", secrets.ID}, {"registry", images.ID}},
		Everything: []pulumi.Resource{
			net, images, secrets, db, aks, edge, edge.Resource, net.Settled, workloads.Secrets, workloads.Application, workloads.Pipeline,
		},
	}, providers); err != nil {
		return none, err
	}
	return stacks.InfraOutputs{
		PublicInfra: stacks.PublicInfraOutputs{
			Location:                   pulumi.String(s.Location).ToStringOutput(),
			ResourceGroupName:          group.Name,
			ClusterName:                aks.Name,
			OIDCIssuerURL:              aks.OIDCIssuerURL,
			RegistryLoginServer:        images.LoginServer,
			PipelineClientID:           workloads.Pipeline.ClientID,
			KeyVaultName:               secrets.Name,
			KeyVaultURI:                secrets.URI,
			DatabaseHost:               db.Host,
			DatabaseName:               db.Name,
			DatabasePasswordSecretName: db.PasswordSecretName,
			GatewayPublicIP:            edge.PublicIP,
			EgressAddresses:            net.EgressAddresses.ToStringArrayOutput(),
		},
		SubscriptionID:          pulumi.String(caller.SubscriptionID).ToStringOutput(),
		TenantID:                pulumi.String(caller.TenantID).ToStringOutput(),
		VirtualNetworkID:        net.ID,
		ClusterID:               aks.ID,
		Kubeconfig:              aks.Kubeconfig,
		DatabaseUser:            db.User,
		IngressIP:               pulumi.String(s.Network.IngressIP.String()).ToStringOutput(),
		LogAnalyticsWorkspaceID: logs.WorkspaceID,
		SecretsClientID:         workloads.Secrets.ClientID,
		WorkloadClientID:        workloads.Application.ClientID,
		MetricsWriteURL:         writeURL,
		MetricsClientID:         writer,
	}, nil
}
