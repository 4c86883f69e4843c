package azure_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/gridos/sharedinfra/lab/internal/azure"
	"github.com/gridos/sharedinfra/lab/internal/providers"
)

// Tokens as programs register them.
const (
	tokenGroup      = "azure-native:resources/v20240301:ResourceGroup"
	tokenNetwork    = "azure-native:network/v20240501:VirtualNetwork"
	tokenSubnet     = "azure-native:network/v20240501:Subnet"
	tokenNSG        = "azure-native:network/v20240501:NetworkSecurityGroup"
	tokenAddress    = "azure-native:network/v20240501:PublicIPAddress"
	tokenGateway    = "azure-native:network/v20240501:ApplicationGateway"
	tokenPolicy     = "azure-native:network/v20240501:WebApplicationFirewallPolicy"
	tokenZone       = "azure-native:network/v20240601:PrivateZone"
	tokenLink       = "azure-native:network/v20240601:VirtualNetworkLink"
	tokenWorkspace  = "azure-native:operationalinsights/v20230901:Workspace"
	tokenVault      = "azure-native:keyvault/v20241101:Vault"
	tokenSecret     = "azure-native:keyvault/v20241101:Secret"
	tokenRegistry   = "azure-native:containerregistry/v20230701:Registry"
	tokenServer     = "azure-native:dbforpostgresql/v20240801:Server"
	tokenDatabase   = "azure-native:dbforpostgresql/v20240801:Database"
	tokenSetting    = "azure-native:dbforpostgresql/v20240801:Configuration"
	tokenAdmin      = "azure-native:dbforpostgresql/v20240801:Administrator"
	tokenIdentity   = "azure-native:managedidentity/v20230131:UserAssignedIdentity"
	tokenCredential = "azure-native:managedidentity/v20230131:FederatedIdentityCredential"
	tokenRole       = "azure-native:authorization/v20220401:RoleAssignment"
	tokenDiagnostic = "azure-native:insights/v20210501preview:DiagnosticSetting"
	tokenEndpoint   = "azure-native:network/v20240501:PrivateEndpoint"
	tokenZoneGroup  = "azure-native:network/v20240501:PrivateDnsZoneGroup"
	tokenMaintained = "azure-native:containerservice/v20240901:MaintenanceConfiguration"
	tokenCluster    = "azure-native:containerservice/v20240901:ManagedCluster"
	tokenPool       = "azure-native:containerservice/v20240901:AgentPool"
)

const (
	subscription = "/subscriptions/" + azure.DefaultSubscriptionID
	group        = subscription + "/resourceGroups/rg"
	vnet         = group + "/providers/Microsoft.Network/virtualNetworks/vnet"
)

// in are inputs of a resource.
type in = map[string]any

// with returns inputs with some of them changed; a nil value removes one.
func with(inputs in, changes in) in {
	result := maps.Clone(inputs)
	for name, value := range changes {
		if value == nil {
			delete(result, name)
			continue
		}
		result[name] = value
	}
	return result
}

// harness calls the provider as the engine does, without an engine.
type harness struct {
	t        *testing.T
	cloud    *azure.Cloud
	provider pulumirpc.ResourceProviderServer
}

func open(t *testing.T, options azure.Options) *harness {
	t.Helper()
	cloud, err := azure.Open(options)
	require.NoError(t, err)
	return &harness{t: t, cloud: cloud, provider: cloud.Provider()}
}

func urn(token string) string { return "urn:pulumi:dev::gridos-infra::" + token + "::test" }

func marshal(t *testing.T, properties resource.PropertyMap) *structpb.Struct {
	t.Helper()
	result, err := providers.Marshal(properties)
	require.NoError(t, err)
	return result
}

func unmarshal(t *testing.T, properties *structpb.Struct) resource.PropertyMap {
	t.Helper()
	result, err := providers.Unmarshal(properties)
	require.NoError(t, err)
	return result
}

func properties(inputs in) resource.PropertyMap { return resource.NewPropertyMapFromMap(inputs) }

// computed is a value that a preview does not know.
var computed = resource.MakeComputed(resource.NewProperty(""))

func secret(text string) resource.PropertyValue {
	return resource.MakeSecret(resource.NewProperty(text))
}

// check returns the failures of a check, one line each.
func (h *harness) check(token string, before, inputs in) []string {
	h.t.Helper()
	response, err := h.provider.Check(h.t.Context(), &pulumirpc.CheckRequest{
		Urn: urn(token), Olds: marshal(h.t, properties(before)), News: marshal(h.t, properties(inputs)),
	})
	require.NoError(h.t, err)
	var lines []string
	for _, failure := range response.GetFailures() {
		lines = append(lines, failure.GetProperty()+": "+failure.GetReason())
	}
	return lines
}

// create checks and creates a resource.
func (h *harness) create(ctx context.Context, token string, inputs in) (string, resource.PropertyMap, error) {
	h.t.Helper()
	if failures := h.check(token, nil, inputs); len(failures) > 0 {
		return "", nil, fmt.Errorf("check failed: %s", strings.Join(failures, "\n"))
	}
	response, err := h.provider.Create(ctx, &pulumirpc.CreateRequest{
		Urn: urn(token), Properties: marshal(h.t, properties(inputs)),
	})
	if err != nil {
		return "", nil, err
	}
	return response.GetId(), unmarshal(h.t, response.GetProperties()), nil
}

// must creates a resource that Azure accepts.
func (h *harness) must(token string, inputs in) (string, resource.PropertyMap) {
	h.t.Helper()
	id, outputs, err := h.create(h.t.Context(), token, inputs)
	require.NoError(h.t, err)
	return id, outputs
}

// refused creates a resource that Azure does not accept, and returns the error.
func (h *harness) refused(token string, inputs in) string {
	h.t.Helper()
	before := len(h.cloud.Inventory())
	_, _, err := h.create(h.t.Context(), token, inputs)
	require.Error(h.t, err, "this must be refused")
	require.Len(h.t, h.cloud.Inventory(), before, "what is refused must leave nothing behind")
	return err.Error()
}

func (h *harness) update(token, id string, before, inputs in) (resource.PropertyMap, error) {
	h.t.Helper()
	if failures := h.check(token, before, inputs); len(failures) > 0 {
		return nil, fmt.Errorf("check failed: %s", strings.Join(failures, "\n"))
	}
	response, err := h.provider.Update(h.t.Context(), &pulumirpc.UpdateRequest{
		Id: id, Urn: urn(token), OldInputs: marshal(h.t, properties(before)), News: marshal(h.t, properties(inputs)),
	})
	if err != nil {
		return nil, err
	}
	return unmarshal(h.t, response.GetProperties()), nil
}

// read returns the live outputs of a resource.
func (h *harness) read(token, id string) resource.PropertyMap {
	h.t.Helper()
	response, err := h.provider.Read(h.t.Context(), &pulumirpc.ReadRequest{Id: id, Urn: urn(token)})
	require.NoError(h.t, err)
	require.NotEmpty(h.t, response.GetId(), "%s does not exist", id)
	return unmarshal(h.t, response.GetProperties())
}

func (h *harness) delete(token, id string) error {
	h.t.Helper()
	_, err := h.provider.Delete(h.t.Context(), &pulumirpc.DeleteRequest{Id: id, Urn: urn(token)})
	return err
}

func (h *harness) diff(token string, before, after in) *pulumirpc.DiffResponse {
	h.t.Helper()
	response, err := h.provider.Diff(h.t.Context(), &pulumirpc.DiffRequest{
		Urn: urn(token), OldInputs: marshal(h.t, properties(before)), News: marshal(h.t, properties(after)),
	})
	require.NoError(h.t, err)
	return response
}

func (h *harness) invoke(token string, arguments in) (resource.PropertyMap, error) {
	h.t.Helper()
	response, err := h.provider.Invoke(h.t.Context(), &pulumirpc.InvokeRequest{Tok: token, Args: marshal(h.t, properties(arguments))})
	if err != nil {
		return nil, err
	}
	require.Empty(h.t, response.GetFailures())
	return unmarshal(h.t, response.GetReturn()), nil
}

// kubernetes stands in for the lab's control plane.
type kubernetes struct {
	mu    sync.Mutex
	nodes []azure.Node
	err   error

	gateways []azure.IngressGateway
}

func (k *kubernetes) Kubeconfig(context.Context) ([]byte, error) {
	return []byte("apiVersion: v1\n"), nil
}

func (k *kubernetes) SetNodes(_ context.Context, nodes []azure.Node) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.nodes = nodes
	return nil
}

func (k *kubernetes) SetIngressGateways(_ context.Context, gateways []azure.IngressGateway) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gateways = gateways
	return k.err
}

func (k *kubernetes) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for _, node := range k.nodes {
		names = append(names, node.Name)
	}
	return names
}

// Inputs of resources as the platform's programs send them.
var (
	groupInputs   = in{"resourceGroupName": "rg", "location": "westeurope"}
	networkInputs = in{
		"resourceGroupName": "rg", "virtualNetworkName": "vnet", "location": "westeurope",
		"addressSpace": in{"addressPrefixes": []any{"10.10.0.0/16"}},
	}
	nsgInputs = in{
		"resourceGroupName": "rg", "networkSecurityGroupName": "gateway-nsg", "location": "westeurope",
		"securityRules": []any{
			securityRule("manager", 100, "Allow", "GatewayManager", "65200-65535"),
			securityRule("web", 110, "Allow", "Internet", "443"),
			securityRule("plain", 115, "Allow", "Internet", "80"),
			securityRule("balancer", 120, "Allow", "AzureLoadBalancer", "*"),
		},
	}
	vaultInputs = in{
		"resourceGroupName": "rg", "vaultName": "dev-gridos-kv", "location": "westeurope",
		"properties": in{"tenantId": azure.DefaultTenantID, "sku": in{"family": "A", "name": "standard"}, "enableRbacAuthorization": true},
	}
	serverInputs = in{
		"resourceGroupName": "rg", "serverName": "dev-gridos-pg", "location": "westeurope", "version": "16",
		"sku": in{"name": "Standard_B2s", "tier": "Burstable"}, "storage": in{"storageSizeGB": 64},
		"backup":             in{"backupRetentionDays": 7, "geoRedundantBackup": "Disabled"},
		"administratorLogin": "gridos", "administratorLoginPassword": secret("Hunter2hunter2"),
	}
	identityInputs = in{"resourceGroupName": "rg", "resourceName": "aks-id", "location": "westeurope"}
	clusterInputs  = in{
		"resourceGroupName": "rg", "resourceName": "dev-gridos-aks", "location": "westeurope", "dnsPrefix": "dev-gridos",
		"sku": in{"name": "Base", "tier": "Free"}, "kubernetesVersion": "1.35",
		"identity":             in{"type": "UserAssigned", "userAssignedIdentities": []any{identityID}},
		"oidcIssuerProfile":    in{"enabled": true},
		"securityProfile":      in{"workloadIdentity": in{"enabled": true}},
		"disableLocalAccounts": true,
		"aadProfile":           in{"managed": true, "enableAzureRBAC": true},
		"networkProfile": in{
			"networkPlugin": "azure", "networkPluginMode": "overlay", "podCidr": "10.244.0.0/16",
			"serviceCidr": "10.96.0.0/16", "dnsServiceIP": "10.96.0.10",
		},
		"agentPoolProfiles": []any{in{
			"name": "system", "mode": "System", "vmSize": "Standard_D2s_v5", "count": 1, "enableAutoScaling": true,
			"minCount": 1, "maxCount": 3, "availabilityZones": []any{"1", "2"}, "vnetSubnetID": vnet + "/subnets/aks",
		}},
	}
	poolInputs = in{
		"resourceGroupName": "rg", "resourceName": "dev-gridos-aks", "agentPoolName": "user", "vmSize": "Standard_D4s_v5",
		"count": 2, "mode": "User", "nodeTaints": []any{"spot=true:NoSchedule"}, "nodeLabels": in{"team": "scada"},
		"vnetSubnetID": vnet + "/subnets/aks",
	}
)

const (
	identityID  = group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/aks-id"
	clusterID   = group + "/providers/Microsoft.ContainerService/managedClusters/dev-gridos-aks"
	gatewayID   = group + "/providers/Microsoft.Network/applicationGateways/agw"
	policyID    = group + "/providers/Microsoft.Network/ApplicationGatewayWebApplicationFirewallPolicies/waf"
	addressID   = group + "/providers/Microsoft.Network/publicIPAddresses/pip"
	nsgID       = group + "/providers/Microsoft.Network/networkSecurityGroups/gateway-nsg"
	zoneID      = group + "/providers/Microsoft.Network/privateDnsZones/dev.private.postgres.database.azure.com"
	contributor = "4d97b98b-1d4f-4787-a291-c67834d212e7"
	// Roles of the data plane of vaults.
	secretsOfficer = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
	secretsUser    = "4633458b-17de-408a-b874-0445c86b69e6"
	acrPull        = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
)

func securityRule(name string, priority int, access, source, ports string) in {
	return in{
		"name": name, "priority": priority, "access": access, "direction": "Inbound", "protocol": "Tcp",
		"sourceAddressPrefix": source, "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": ports,
	}
}

func subnet(name, prefix string, changes in) in {
	return with(in{
		"resourceGroupName": "rg", "virtualNetworkName": "vnet", "subnetName": name, "addressPrefix": prefix,
	}, changes)
}

func role(name, scope, principal, definition string) in {
	return in{
		"roleAssignmentName": name, "scope": scope, "principalId": principal, "principalType": "ServicePrincipal",
		"roleDefinitionId": subscription + "/providers/Microsoft.Authorization/roleDefinitions/" + definition,
	}
}

// part refers to a part of the gateway.
func part(collection, name string) in { return in{"id": gatewayID + "/" + collection + "/" + name} }

var gatewayInputs = in{
	"resourceGroupName": "rg", "applicationGatewayName": "agw", "location": "westeurope",
	"sku": in{"name": "WAF_v2", "tier": "WAF_v2"}, "autoscaleConfiguration": in{"minCapacity": 1, "maxCapacity": 2},
	"firewallPolicy":                in{"id": policyID},
	"gatewayIPConfigurations":       []any{in{"name": "ip", "subnet": in{"id": vnet + "/subnets/gateway"}}},
	"frontendIPConfigurations":      []any{in{"name": "public", "publicIPAddress": in{"id": addressID}}},
	"frontendPorts":                 []any{in{"name": "http", "port": 80}},
	"backendAddressPools":           []any{in{"name": "edge"}},
	"backendHttpSettingsCollection": []any{in{"name": "edge", "port": 80, "protocol": "Http"}},
	"httpListeners": []any{in{
		"name": "http", "protocol": "Http", "frontendIPConfiguration": part("frontendIPConfigurations", "public"),
		"frontendPort": part("frontendPorts", "http"),
	}},
	"requestRoutingRules": []any{in{
		"name": "all", "ruleType": "Basic", "priority": 100, "httpListener": part("httpListeners", "http"),
		"backendAddressPool": part("backendAddressPools", "edge"), "backendHttpSettings": part("backendHttpSettingsCollection", "edge"),
	}},
}

// withNetwork creates a resource group, a network and a subnet for nodes.
func (h *harness) withNetwork() *harness {
	h.t.Helper()
	h.must(tokenGroup, groupInputs)
	h.must(tokenNetwork, networkInputs)
	h.must(tokenSubnet, subnet("aks", "10.10.0.0/20", nil))
	return h
}

// withGateway creates what a gateway needs.
func (h *harness) withGateway() *harness {
	h.t.Helper()
	h.withNetwork()
	h.must(tokenNSG, nsgInputs)
	h.must(tokenSubnet, subnet("gateway", "10.10.16.0/24", in{"networkSecurityGroup": in{"id": nsgID}}))
	h.must(tokenAddress, in{
		"resourceGroupName": "rg", "publicIpAddressName": "pip", "location": "westeurope",
		"sku": in{"name": "Standard"}, "publicIPAllocationMethod": "Static",
	})
	h.must(tokenPolicy, in{
		"resourceGroupName": "rg", "policyName": "waf", "location": "westeurope",
		"policySettings": in{"state": "Enabled", "mode": "Prevention"},
		"managedRules":   in{"managedRuleSets": []any{in{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"}}},
	})
	return h
}

// withCluster creates a cluster and returns its outputs.
func (h *harness) withCluster() resource.PropertyMap {
	h.t.Helper()
	h.withNetwork()
	_, identity := h.must(tokenIdentity, identityInputs)
	h.must(tokenRole, role("8f0c1c6e-0000-4000-8000-000000000001", vnet+"/subnets/aks", identity["principalId"].StringValue(), contributor))
	_, outputs := h.must(tokenCluster, clusterInputs)
	return outputs
}
