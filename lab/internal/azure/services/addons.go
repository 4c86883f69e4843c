package services

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// gatewayAddOn is the key of the add-on that writes a gateway from the Ingresses of the cluster
// (AGIC).
const gatewayAddOn = "ingressApplicationGateway"

// addOn describes the configuration of a cluster's add-on.
type addOn struct {
	// required and optional are the keys of its configuration; resources maps a key to the ARM type
	// of the resource whose id the key has.
	required, optional []string
	resources          map[string]string
}

// addOns are the add-ons of AKS that are known (rule K5). Source: AKS-Construction
// `bicep/main.bicep`; azure-aks-docs integrations.
var addOns = map[string]addOn{
	gatewayAddOn: {
		required: []string{"applicationGatewayId"}, optional: []string{"watchNamespace"},
		resources: map[string]string{"applicationGatewayId": typeGateway},
	},
	"azureKeyvaultSecretsProvider": {optional: []string{"enableSecretRotation", "rotationPollInterval"}},
	"omsagent": {
		required: []string{"logAnalyticsWorkspaceResourceID"}, optional: []string{"useAADAuth"},
		resources: map[string]string{"logAnalyticsWorkspaceResourceID": typeWorkspace},
	},
	"azurepolicy":            {optional: []string{"version"}},
	"httpApplicationRouting": {},
	"openServiceMesh":        {},
	"aciConnectorLinux":      {required: []string{"SubnetName"}},
}

// enabledAddOn returns the configuration of an add-on of a cluster, and false if it is not enabled.
func enabledAddOn(cluster arm.Document, name string) (arm.Document, bool) {
	return cluster.Document("addonProfiles." + name + ".config"), cluster.Flag("addonProfiles." + name + ".enabled")
}

// addOnKeys is K5: the add-ons and their settings are known, and an enabled one has all required
// settings.
var addOnKeys = arm.Rule{ID: "K5", Code: "InvalidAddonProfile", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	profiles := s.In.Document("addonProfiles")
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		path := "addonProfiles." + name
		known, ok := addOns[name]
		if !ok {
			result = append(result, arm.Found(path, "'%s' is no add-on; use one of %s", name, strings.Join(slices.Sorted(maps.Keys(addOns)), ", "))...)
			continue
		}
		if s.In.Unsure(path + ".config") {
			continue
		}
		config, enabled := enabledAddOn(s.In, name)
		for _, setting := range known.required {
			if enabled && !config.Has(setting) {
				result = append(result, arm.Found(path+".config", "add-on %s needs the setting %s; add it to config", name, setting)...)
			}
		}
		for _, setting := range slices.Sorted(maps.Keys(config)) {
			if !slices.Contains(slices.Concat(known.required, known.optional), setting) {
				result = append(result, arm.Found(path+".config."+setting, "add-on %s has no setting %s; it has: %s", name, setting,
					strings.Join(slices.Concat(known.required, known.optional), ", "))...)
			}
		}
		for _, setting := range []string{"enableSecretRotation", "useAADAuth"} {
			if value := config.Text(setting); value != "" && value != "true" && value != "false" {
				result = append(result, arm.Found(path+".config."+setting, "%s of add-on %s is '%s'; use the text true or false", setting, name, value)...)
			}
		}
	}
	return result
}}

// addOnResources is K5: the resources in the settings of an add-on are of the right type.
var addOnResources = arm.Rule{ID: "K5", Code: "InvalidAddonProfile", Broken: func(s arm.Subject) []arm.Finding {
	var result []arm.Finding
	for _, name := range slices.Sorted(maps.Keys(addOns)) {
		config, enabled := enabledAddOn(s.In, name)
		for setting, want := range addOns[name].resources {
			id := config.Text(setting)
			if target := s.Cloud.Find(id); enabled && (!arm.LooksLikeID(id) || target != nil && target.Kind != want) {
				result = append(result, arm.Found("addonProfiles."+name+".config."+setting, "'%s' is no %s; set %s to the id of one", id, want, setting)...)
			}
		}
	}
	return result
}}

// gatewayOf returns the live gateway that an enabled add-on of a cluster writes, or nil.
func gatewayOf(v *arm.View, cluster arm.Document) *arm.Record {
	config, enabled := enabledAddOn(cluster, gatewayAddOn)
	if !enabled {
		return nil
	}
	if gateway := v.Find(config.Text("applicationGatewayId")); gateway != nil && gateway.Kind == typeGateway {
		return gateway
	}
	return nil
}

// gatewayOfOneAddOn is G7: one gateway has one add-on that writes it.
var gatewayOfOneAddOn = arm.Rule{ID: "G7", Code: "IngressApplicationGatewayInUse", Broken: func(s arm.Subject) []arm.Finding {
	gateway := gatewayOf(s.Cloud, s.In)
	if gateway == nil {
		return nil
	}
	for _, other := range s.Cloud.Present() {
		config, enabled := enabledAddOn(other.Inputs, gatewayAddOn)
		if other.Kind == typeCluster && arm.Key(other.ID) != arm.Key(s.ID) && enabled && arm.Key(config.Text("applicationGatewayId")) == arm.Key(gateway.ID) {
			return arm.Found("addonProfiles."+gatewayAddOn, "gateway '%s' is written by the add-on of '%s'; give each cluster a gateway of its own",
				gateway.ID, other.ID)
		}
	}
	return nil
}}

// gatewayLeftToAddOn is G7 from the side of the gateway: an update by the engine would erase the
// add-on's changes. Azure accepts it; here it is an error.
var gatewayLeftToAddOn = arm.Rule{ID: "G7", Code: "ApplicationGatewayOwnedByAddon", Broken: func(s arm.Subject) []arm.Finding {
	if s.Creating() {
		return nil
	}
	for _, cluster := range s.Cloud.All(typeCluster) {
		if gateway := gatewayOf(s.Cloud, cluster.Inputs); gateway != nil && arm.Key(gateway.ID) == arm.Key(s.ID) {
			return arm.Found("", "the add-on %s of '%s' owns gateway '%s', and this update would erase its listeners, pools and rules; "+
				"keep the inputs as they are (IgnoreChanges), or replace the gateway deliberately", gatewayAddOn, cluster.ID, s.ID)
		}
	}
	return nil
}}

// gatewayForOverlay is N2: with overlay networking the add-on needs its gateway in the cluster's
// own virtual network, alone in a subnet of /24 or smaller that is delegated to gateways.
var gatewayForOverlay = arm.Rule{ID: "N2", Code: "IngressApplicationGatewaySubnetInvalid", Broken: func(s arm.Subject) []arm.Finding {
	gateway := gatewayOf(s.Cloud, s.In)
	if gateway == nil || s.In.Text("networkProfile.networkPluginMode") != "overlay" {
		return nil
	}
	const path = "addonProfiles." + gatewayAddOn
	var result []arm.Finding
	for _, configuration := range gateway.Inputs.Documents("gatewayIPConfigurations") {
		id := configuration.Text("subnet.id")
		subnet, ok := subnetOf(s.Cloud, id)
		if !ok {
			continue
		}
		joined, _ := arm.Ancestor(id, typeNetwork)
		for _, owner := range joinedNetworks(s) {
			if arm.Key(owner) != arm.Key(joined) {
				result = append(result, arm.Found(path, "gateway '%s' is in '%s', but the nodes are in '%s'; with overlay networking both must be in one "+
					"virtual network, peering is not enough", gateway.ID, joined, owner)...)
			}
		}
		if service := delegationOf(subnet); !strings.EqualFold(service, typeGateway) {
			result = append(result, arm.Found(path, "subnet '%s' of the gateway is delegated to '%s'; with overlay networking delegate it to %s",
				id, service, typeGateway)...)
		}
		for _, text := range prefixesOf(subnet) {
			if prefix, err := parsePrefix(text); err == nil && prefix.Addr().Is4() && prefix.Bits() < 24 {
				result = append(result, arm.Found(path, "subnet '%s' (%s) of the gateway is too large for overlay networking; use a /24 or smaller", id, text)...)
			}
		}
		others := slices.DeleteFunc(tenantsOf(s.Cloud, id), func(r *arm.Record) bool { return arm.Key(r.ID) == arm.Key(gateway.ID) })
		if len(others) > 0 {
			result = append(result, arm.Found(path, "subnet '%s' of the gateway also has %s in it; with overlay networking the gateway is alone there",
				id, arm.NameList(others))...)
		}
	}
	return result
}}

// addOnPermissions is G6: the identity of the gateway's add-on, which Azure makes with the cluster,
// needs roles on the gateway, its group, its subnet and its identities. Azure does not check them,
// and without them the add-on silently does nothing. Here the next change of the cluster is refused
// without them, and Cloud.Unfulfilled reports them at any time.
var addOnPermissions = arm.Rule{ID: "G6", Code: "ApplicationGatewayInsufficientPermission", Broken: func(s arm.Subject) []arm.Finding {
	owner, _ := arm.Ancestor(s.ID, typeCluster)
	cluster := s.Cloud.Find(owner)
	if cluster == nil || s.Creating() || gatewayOf(s.Cloud, s.In) == nil {
		return nil
	}
	var result []arm.Finding
	for _, message := range missingForAddOn(s.Cloud, cluster) {
		result = append(result, arm.Finding{Property: "addonProfiles." + gatewayAddOn, Message: message})
	}
	return result
}}

// missingForAddOn returns the roles that the identity of a live cluster's gateway add-on lacks, one
// message each.
func missingForAddOn(v *arm.View, cluster *arm.Record) []string {
	gateway := gatewayOf(v, cluster.Inputs)
	principal := cluster.Outputs.Text("addonProfiles." + gatewayAddOn + ".identity.objectId")
	if gateway == nil || principal == "" {
		return nil // not enabled, or only now
	}
	var result []string
	demand := func(p permission, scope string) {
		if why := lacks(v, principal, p, scope); why != "" {
			result = append(result, fmt.Sprintf("The add-on %s of '%s' cannot work: its identity '%s' has not got %s on '%s'. %s",
				gatewayAddOn, cluster.ID, principal, p.name, scope, why))
		}
	}
	demand(mayContribute, gateway.ID)
	demand(mayRead, arm.ResourceGroupOf(gateway.ID))
	for _, configuration := range gateway.Inputs.Documents("gatewayIPConfigurations") {
		demand(mayJoinSubnet, configuration.Text("subnet.id"))
	}
	for _, id := range gateway.Inputs.Texts("identity.userAssignedIdentities") {
		demand(mayAssign, id)
	}
	return result
}
