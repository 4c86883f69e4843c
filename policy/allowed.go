package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	// regions are where data may be, by Azure's names.
	regions = []string{"francecentral", "germanywestcentral", "northeurope", "swedencentral", "westeurope"}
	// global are the types that have no region, or that Azure processes in any.
	global = []string{
		"insights:ActionGroup", "insights:ActivityLogAlert", "insights:MetricAlert",
		"network:PrivateZone", "network:VirtualNetworkLink", "privatedns:PrivateZone", "privatedns:VirtualNetworkLink",
	}
	// machines are the VM sizes of nodes: D and E series of the fifth generation and later. small ones
	// are for dev.
	machines = regexp.MustCompile(`(?i)^Standard_[DE]\d+(-\d+)?[a-z]*_v([5-9]|\d{2,})$`)
	small    = regexp.MustCompile(`(?i)^Standard_B\d+[a-z]*(_v\d+)?$`)
)

// catalogue lists the values that may be bought, by type and path of the property.
var catalogue = []struct {
	kind    string
	path    []string
	allowed []string
	dev     []string // allowed in dev, too
}{
	{"containerregistry:Registry", []string{"sku", "name"}, []string{"Standard", "Premium"}, nil},
	{"containerservice:ManagedCluster", []string{"sku", "tier"}, []string{"Standard", "Premium"}, []string{"Free"}},
	{"dbforpostgresql:Server", []string{"sku", "tier"}, []string{"GeneralPurpose", "MemoryOptimized"}, []string{"Burstable"}},
	{"network:ApplicationGateway", []string{"sku", "name"}, []string{"WAF_v2"}, nil},
	{"network:ApplicationGateway", []string{"sku", "tier"}, []string{"WAF_v2"}, nil},
	{"network:NatGateway", []string{"sku", "name"}, []string{"Standard", "StandardV2"}, nil},
	{"network:PublicIPAddress", []string{"sku", "name"}, []string{"Standard", "StandardV2"}, nil},
	{"operationalinsights:Workspace", []string{"sku", "name"}, []string{"PerGB2018"}, nil},
}

func allowedRegions(r Resource, _ string) []finding {
	if r.kind() == "" && r.Type != "pulumi:providers:azure-native" {
		return nil
	}
	location := r.at("location")
	if location.unknown() || location.absent() {
		return nil
	}
	// Azure reads "West Europe" as westeurope.
	name := strings.ToLower(strings.ReplaceAll(location.text(), " ", ""))
	if slices.Contains(regions, name) || name == "global" && slices.Contains(global, r.kind()) {
		return nil
	}
	return []finding{{
		fmt.Sprintf("the location %s is not allowed", location),
		"use one of " + strings.Join(regions, ", "),
	}}
}

func allowedSKUs(r Resource, environment string) []finding {
	var found []finding
	for _, c := range catalogue {
		if c.kind != r.kind() {
			continue
		}
		allowed := c.allowed
		if environment == "dev" {
			allowed = slices.Concat(c.allowed, c.dev)
		}
		if value := r.at(c.path...); !value.absent() && !value.may(allowed...) {
			found = append(found, finding{
				fmt.Sprintf("%s is %s", strings.Join(c.path, "."), value),
				"use " + strings.Join(allowed, " or "),
			})
		}
	}
	switch r.kind() {
	case "containerservice:AgentPool":
		found = append(found, machine(r.at("vmSize"), environment)...)
	case "containerservice:ManagedCluster":
		for _, pool := range r.at("agentPoolProfiles").elements() {
			found = append(found, machine(pool.at("vmSize"), environment)...)
		}
	}
	return found
}

func machine(size property, environment string) []finding {
	if size.absent() || size.unknown() || machines.MatchString(size.text()) ||
		environment == "dev" && small.MatchString(size.text()) {
		return nil
	}
	remedy := "use a size of the D or E series, version 5 or later, such as Standard_D4ds_v5"
	if environment == "dev" {
		remedy += ", or one of the B series"
	}
	return []finding{{fmt.Sprintf("nodes of size %s are not allowed", size), remedy}}
}
