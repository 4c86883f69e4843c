// Package cluster creates the AKS cluster with a system and a user node pool, its identity, and the
// rights that it and its administrators need.
package cluster

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	azure "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"
	managedidentity "github.com/pulumi/pulumi-azure-native-sdk/managedidentity/v2/v20230131"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/gridos/sharedinfra/infra/identity"
	"github.com/gridos/sharedinfra/infra/network"
	"github.com/gridos/sharedinfra/infra/scope"
)

// Args is what a Cluster needs. Every field is required.
type Args struct {
	scope.Scope
	Settings Settings
	Plan     network.Plan
	Caller   identity.Caller
	Deployer identity.Principal
	// SubnetID and NetworkID are the ARM ids of the nodes' subnet and of its virtual network.
	SubnetID, NetworkID pulumi.StringInput
	// OutboundType is how nodes leave the network, as AKS calls it; EgressAddresses are the public
	// addresses that they are seen with when the cluster does not know them by itself.
	OutboundType    azure.OutboundType
	EgressAddresses pulumi.StringArray
	// NetworkSettled is what the cluster waits for: Azure refuses it while it works on a subnet of the
	// network (rule N10). The subnet of the edge load balancer, which no property of the cluster
	// names, is part of it.
	NetworkSettled pulumi.Resource
	// RegistryID is the ARM id of the registry that nodes pull from.
	RegistryID pulumi.StringInput
	// AuthorizedRanges are the public addresses (CIDRs) that reach an API server which is not private.
	AuthorizedRanges []string
	// WorkspaceID is the ARM id of the Log Analytics workspace that Defender reports to, and the logs
	// of pods go to.
	WorkspaceID pulumi.StringInput
	// PodLogs runs the agent that collects the logs of pods.
	PodLogs bool
	// Propagation is how long a new role assignment takes to be honoured.
	Propagation time.Duration
}

// Cluster is the AKS cluster of one environment.
type Cluster struct {
	pulumi.ResourceState

	// ID and Name are the cluster's ARM id and name.
	ID, Name pulumi.StringOutput
	// OIDCIssuerURL is the issuer of its service accounts' tokens.
	OIDCIssuerURL pulumi.StringOutput
	// Kubeconfig signs in as the user who runs the client; it is secret.
	Kubeconfig pulumi.StringOutput
}

// New registers the cluster.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Cluster, error) {
	c := &Cluster{}
	if err := ctx.RegisterComponentResource("gridos-infra:cluster:Cluster", name, c, opts...); err != nil {
		return nil, err
	}
	if err := c.provision(ctx, name, args); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{
		"id":            c.ID,
		"name":          c.Name,
		"oidcIssuerUrl": c.OIDCIssuerURL,
		"kubeconfig":    c.Kubeconfig,
	})
}

func (c *Cluster) provision(ctx *pulumi.Context, name string, args Args) error {
	controlPlane, err := managedidentity.NewUserAssignedIdentity(ctx, name+"-identity",
		&managedidentity.UserAssignedIdentityArgs{
			ResourceGroupName: args.ResourceGroupName,
			ResourceName:      pulumi.String(args.Names.ClusterIdentity),
			Location:          pulumi.String(args.Location),
			Tags:              args.Tags,
		}, pulumi.Parent(c))
	if err != nil {
		return err
	}
	// The cluster joins its nodes and the edge load balancer to subnets of a network that it does not
	// own: its identity needs the right before the cluster exists (rule K1). The scope is the network,
	// because the load balancer's address is in another subnet than the nodes.
	joined, err := identity.AssignBefore(ctx, name+"-network-contributor", identity.Assignment{
		SubscriptionID: args.Caller.SubscriptionID,
		Scope:          args.NetworkID,
		Principal:      identity.Principal{ID: controlPlane.PrincipalId, Type: identity.ServicePrincipal},
		Role:           identity.NetworkContributor,
	}, args.Propagation, pulumi.Parent(c))
	if err != nil {
		return err
	}
	managed, err := azure.NewManagedCluster(ctx, name+"-aks", managedClusterArgs(args, controlPlane.ID().ToStringOutput()),
		pulumi.Parent(c), pulumi.Protect(args.Protect), pulumi.DependsOn([]pulumi.Resource{args.NetworkSettled}), joined,
		// The autoscaler owns the number of nodes. It is sent all the same: Azure requires it.
		pulumi.IgnoreChanges([]string{"agentPoolProfiles[*].count"}))
	if err != nil {
		return err
	}
	if err := c.children(ctx, name, managed, args); err != nil {
		return err
	}
	admins, err := c.assignments(ctx, name, managed, args)
	if err != nil {
		return err
	}

	c.ID = managed.ID().ToStringOutput()
	c.Name = managed.Name
	c.OIDCIssuerURL = managed.OidcIssuerProfile.IssuerURL().Elem()
	c.Kubeconfig = kubeconfig(ctx, c, managed, admins, args)
	return args.Diagnostics.Watch(ctx, name+"-aks", c.ID, scope.Cluster, pulumi.Parent(c))
}

func managedClusterArgs(args Args, identityID pulumi.StringInput) *azure.ManagedClusterArgs {
	s := args.Settings
	return &azure.ManagedClusterArgs{
		ResourceGroupName: args.ResourceGroupName,
		ResourceName:      pulumi.String(args.Names.Cluster),
		Location:          pulumi.String(args.Location),
		DnsPrefix:         pulumi.String(s.DNSPrefix),
		NodeResourceGroup: pulumi.String(args.Names.NodeResourceGroup),
		KubernetesVersion: pulumi.String(s.KubernetesVersion),
		// The version is a minor one; Azure keeps its patch, and the nodes' images, up to date.
		AutoUpgradeProfile: azure.ManagedClusterAutoUpgradeProfileArgs{
			UpgradeChannel:       pulumi.String(s.UpgradeChannel),
			NodeOSUpgradeChannel: pulumi.String(s.NodeOSUpgradeChannel),
		},
		Sku: azure.ManagedClusterSKUArgs{
			Name: pulumi.String(azure.ManagedClusterSKUNameBase),
			Tier: pulumi.String(s.Tier),
		},
		Identity: azure.ManagedClusterIdentityArgs{
			Type:                   azure.ResourceIdentityTypeUserAssigned,
			UserAssignedIdentities: pulumi.StringArray{identityID},
		},
		EnableRBAC: pulumi.Bool(true),
		AadProfile: azure.ManagedClusterAADProfileArgs{
			Managed:             pulumi.Bool(true),
			EnableAzureRBAC:     pulumi.Bool(true),
			TenantID:            pulumi.String(args.Caller.TenantID),
			AdminGroupObjectIDs: pulumi.ToStringArray(s.AdminGroups),
		},
		DisableLocalAccounts:   pulumi.Bool(true), // needs the Entra profile above (rule K3)
		OidcIssuerProfile:      azure.ManagedClusterOIDCIssuerProfileArgs{Enabled: pulumi.Bool(true)},
		SecurityProfile:        securityProfile(args),
		ApiServerAccessProfile: apiServerAccess(args),
		AddonProfiles: azure.ManagedClusterAddonProfileMap{ // config values are strings (rule K5)
			"azurepolicy": azure.ManagedClusterAddonProfileArgs{Enabled: pulumi.Bool(s.AzurePolicy)},
			"omsagent":    agent(args),
		},
		// Azure runs the mesh and its gateway; the edge load balancer sends traffic to the gateway's
		// pods. Azure keeps the patch of a revision up to date and never raises the revision itself.
		ServiceMeshProfile: azure.ServiceMeshProfileArgs{
			Mode: pulumi.String(azure.ServiceMeshModeIstio),
			Istio: azure.IstioServiceMeshArgs{
				Revisions: pulumi.ToStringArray(s.IstioRevisions),
				Components: azure.IstioComponentsArgs{
					IngressGateways: azure.IstioIngressGatewayArray{azure.IstioIngressGatewayArgs{
						Enabled: pulumi.Bool(true),
						Mode:    pulumi.String(azure.IstioIngressGatewayModeInternal),
					}},
				},
			},
		},
		NetworkProfile: azure.ContainerServiceNetworkProfileArgs{
			NetworkPlugin:     pulumi.String(azure.NetworkPluginAzure),
			NetworkPluginMode: pulumi.String(azure.NetworkPluginModeOverlay),
			NetworkDataplane:  pulumi.String(azure.NetworkDataplaneCilium),
			NetworkPolicy:     pulumi.String(azure.NetworkPolicyCilium),
			LoadBalancerSku:   pulumi.String(azure.LoadBalancerSkuStandard),
			OutboundType:      pulumi.String(args.OutboundType),
			PodCidr:           pulumi.String(args.Plan.Pods.String()),
			ServiceCidr:       pulumi.String(args.Plan.Services.String()),
			DnsServiceIP:      pulumi.String(args.Plan.DNSService.String()),
		},
		// Exactly one pool is part of the cluster; Azure cannot change inline pools one by one (rule K4).
		AgentPoolProfiles: azure.ManagedClusterAgentPoolProfileArray{systemPool(args)},
		AutoScalerProfile: autoscaler(),
		NodeResourceGroupProfile: azure.ManagedClusterNodeResourceGroupProfileArgs{
			RestrictionLevel: pulumi.String(restriction(s.NodeGroupLockdown)),
		},
		Tags: args.Tags,
	}
}

// apiServerAccess says who reaches the API server: hosts of the network and its peers, or the
// authorized addresses.
func apiServerAccess(args Args) azure.ManagedClusterAPIServerAccessProfileArgs {
	if args.Settings.Private {
		return azure.ManagedClusterAPIServerAccessProfileArgs{
			EnablePrivateCluster:           pulumi.Bool(true),
			EnablePrivateClusterPublicFQDN: pulumi.Bool(false),
			PrivateDNSZone:                 pulumi.String("system"),
		}
	}
	// The nodes of a cluster that is not private reach its API server from outside. AKS adds the
	// address of its own load balancer to the list, but not that of a NAT gateway (azure-aks-docs,
	// api-server-authorized-ip-ranges).
	ranges := pulumi.ToStringArray(args.AuthorizedRanges)
	for _, address := range args.EgressAddresses {
		ranges = append(ranges, pulumi.Sprintf("%s/32", address))
	}
	return azure.ManagedClusterAPIServerAccessProfileArgs{AuthorizedIPRanges: ranges}
}

// agent is the add-on that collects the logs of pods. It signs in with an identity of its own, and
// not with the key of the workspace, and asks Azure for its data collection rule. Source:
// azure-monitor-docs, containers/kubernetes-monitoring-enable-terraform, 25 August 2025. That a
// refresh finds the configuration as it was sent is inferred `agent-echo`.
func agent(args Args) azure.ManagedClusterAddonProfileArgs {
	if !args.PodLogs {
		return azure.ManagedClusterAddonProfileArgs{Enabled: pulumi.Bool(false)}
	}
	return azure.ManagedClusterAddonProfileArgs{Enabled: pulumi.Bool(true), Config: pulumi.StringMap{
		"logAnalyticsWorkspaceResourceID": args.WorkspaceID,
		"useAADAuth":                      pulumi.String("true"),
	}}
}

func securityProfile(args Args) azure.ManagedClusterSecurityProfileArgs {
	profile := azure.ManagedClusterSecurityProfileArgs{
		WorkloadIdentity: azure.ManagedClusterSecurityProfileWorkloadIdentityArgs{Enabled: pulumi.Bool(true)},
	}
	if args.Settings.Defender {
		profile.Defender = azure.ManagedClusterSecurityProfileDefenderArgs{
			LogAnalyticsWorkspaceResourceId: args.WorkspaceID,
			SecurityMonitoring: azure.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs{
				Enabled: pulumi.Bool(true),
			},
		}
	}
	return profile
}

// children registers what belongs to the cluster. The cluster accepts one operation at a time and
// refuses a second with OperationNotAllowed, so the children form a chain.
func (c *Cluster) children(ctx *pulumi.Context, name string, managed *azure.ManagedCluster, args Args) error {
	pool, err := c.userPool(ctx, name, managed, args)
	if err != nil {
		return err
	}
	return c.maintenance(ctx, name, managed, pool, args)
}

// restriction says whether people may change the resources in AKS' own resource group: machines,
// disks, its load balancer. AKS itself may in either case (azure-aks-docs,
// node-resource-group-lockdown).
func restriction(lockdown bool) azure.RestrictionLevel {
	if lockdown {
		return azure.RestrictionLevelReadOnly
	}
	return azure.RestrictionLevelUnrestricted
}

// assignments gives the nodes the right to pull and the administrators the right to administer; it
// returns the latter.
func (c *Cluster) assignments(
	ctx *pulumi.Context, name string, managed *azure.ManagedCluster, args Args,
) ([]pulumi.CustomResource, error) {
	// Nodes pull with the kubelet's identity, not with the cluster's (rule I3).
	kubelet := managed.IdentityProfile.MapIndex(pulumi.String("kubeletidentity")).ObjectId().Elem()
	if _, err := identity.Assign(ctx, name+"-acr-pull", identity.Assignment{
		SubscriptionID: args.Caller.SubscriptionID,
		Scope:          args.RegistryID,
		Principal:      identity.Principal{ID: kubelet, Type: identity.ServicePrincipal},
		Role:           identity.AcrPull,
	}, pulumi.Parent(c)); err != nil {
		return nil, err
	}
	admin := func(resource string, principal identity.Principal) (pulumi.CustomResource, error) {
		return identity.Assign(ctx, resource, identity.Assignment{
			SubscriptionID: args.Caller.SubscriptionID,
			Scope:          managed.ID().ToStringOutput(),
			Principal:      principal,
			Role:           identity.ClusterAdmin,
		}, pulumi.Parent(c))
	}
	deployer, err := admin(name+"-deployer-admin", args.Deployer)
	if err != nil {
		return nil, err
	}
	admins := []pulumi.CustomResource{deployer}
	for _, group := range args.Settings.AdminGroups {
		assigned, err := admin(name+"-admin-"+group, identity.Principal{ID: pulumi.String(group), Type: identity.Group})
		if err != nil {
			return nil, err
		}
		admins = append(admins, assigned)
	}
	return admins, nil
}

// kubeconfig asks for the cluster's user credentials: with local accounts off there are no others
// (rule K3).
func kubeconfig(
	ctx *pulumi.Context, parent pulumi.Resource, managed *azure.ManagedCluster, admins []pulumi.CustomResource, args Args,
) pulumi.StringOutput {
	// The administrators come first, as an input: the option DependsOn leaves a function's result
	// unsettled for ever when a resource that it waits for fails, and with it the program (seen in the
	// SDK 3.246, context.go, InvokeOutput).
	first := []any{managed.Name}
	for _, admin := range admins {
		first = append(first, admin.ID())
	}
	credentials := azure.ListManagedClusterUserCredentialsOutput(ctx, azure.ListManagedClusterUserCredentialsOutputArgs{
		ResourceGroupName: args.ResourceGroupName,
		ResourceName: pulumi.All(first...).ApplyT(func(v []any) string {
			name, _ := v[0].(string)
			return name
		}).(pulumi.StringOutput),
		Format: pulumi.String("exec"),
	}, pulumi.Parent(parent))
	config := credentials.Kubeconfigs().ApplyT(func(configs []azure.CredentialResultResponse) (string, error) {
		if len(configs) == 0 {
			return "", errors.New("Azure returned no kubeconfig for the cluster; is it running?")
		}
		text, err := base64.StdEncoding.DecodeString(configs[0].Value)
		if err != nil {
			return "", fmt.Errorf("the kubeconfig that Azure returned is not base64: %w", err)
		}
		return signInWithKubelogin(string(text), args.Settings.LoginMode)
	}).(pulumi.StringOutput)
	return pulumi.ToSecret(config).(pulumi.StringOutput)
}
