package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	// gatewayComponent is the type of the only component that serves at a public address.
	// egressComponent has the addresses of outbound traffic: a NAT gateway lets in only answers to
	// it (azure-docs, nat-gateway-resource).
	gatewayComponent = "gridos-infra:gateway:Gateway"
	egressComponent  = "gridos-infra:network:Egress"
	// internalLoadBalancer is the annotation that keeps a Service of type LoadBalancer inside the
	// network. Source: learn.microsoft.com, "Use an internal load balancer with AKS".
	internalLoadBalancer = "service.beta.kubernetes.io/azure-load-balancer-internal"
	// narrowest is the shortest prefix of an authorized range, in bits: anything wider is a good part
	// of the Internet, and two ranges of one bit each would be all of it.
	narrowest = 8
)

func noPublicEndpoint(r Resource, _ string) []finding {
	switch r.kind() {
	case "network:PublicIPAddress":
		if r.ParentType != gatewayComponent && r.ParentType != egressComponent {
			return []finding{{
				"a public address that is not the gateway's",
				"serve through the Application Gateway, whose component " + gatewayComponent + " holds the only public address that serves",
			}}
		}
	case "network:PublicIPPrefix":
		return []finding{{"public addresses that are not the gateway's", "serve through the Application Gateway"}}
	case "containerservice:ManagedCluster":
		return slices.Concat(publicAPIServer(r), publicMesh(r), publicNodes(r.at("agentPoolProfiles").elements()...))
	case "containerservice:AgentPool":
		return publicNodes(r.at())
	case "network:NetworkSecurityGroup":
		return openPorts(r.at("securityRules").elements()...)
	case "network:SecurityRule":
		return openPorts(r.at())
	case "dbforpostgresql:Server":
		network := r.at("network")
		if network.at("delegatedSubnetResourceId").empty() && !network.at("publicNetworkAccess").may("Disabled") {
			return []finding{{
				"the server has a public endpoint",
				"give it a delegated subnet (network.delegatedSubnetResourceId) or set network.publicNetworkAccess to Disabled",
			}}
		}
	case "keyvault:Vault":
		p := r.at("properties")
		return publicUnlessDenied("the vault", p.at("publicNetworkAccess"), p.at("networkAcls"), "value",
			"set properties.publicNetworkAccess to Disabled, or properties.networkAcls.defaultAction to Deny")
	case "containerregistry:Registry":
		return publicUnlessDenied("the registry", r.at("publicNetworkAccess"), r.at("networkRuleSet"), "iPAddressOrRange",
			"set publicNetworkAccess to Disabled, or networkRuleSet.defaultAction to Deny; either takes the SKU Premium")
	}
	return publicService(r)
}

func publicAPIServer(r Resource) []finding {
	access := r.at("apiServerAccessProfile")
	private, ranges := access.at("enablePrivateCluster"), access.at("authorizedIPRanges")
	if name := access.at("enablePrivateClusterPublicFQDN"); private.isTrue() && !name.unknown() && !name.isFalse() {
		return []finding{{ // Azure's default is true (azure-aks-docs, private-clusters.md, "Disable a public FQDN").
			fmt.Sprintf("public DNS tells the private address of the API server: "+
				"apiServerAccessProfile.enablePrivateClusterPublicFQDN is %s", name),
			"set apiServerAccessProfile.enablePrivateClusterPublicFQDN to false",
		}}
	}
	if private.unknown() || private.isTrue() || ranges.unknown() {
		return nil
	}
	if ranges.empty() {
		return []finding{{
			"the API server is open to the Internet",
			"set apiServerAccessProfile.enablePrivateCluster, or apiServerAccessProfile.authorizedIPRanges",
		}}
	}
	var found []finding
	for _, address := range ranges.elements() {
		found = append(found, tooWide("the API server", address)...)
	}
	return found
}

// publicMesh finds an ingress gateway of the mesh that gets a load balancer with a public address
// (azure-aks-docs, istio-deploy-ingress.md).
func publicMesh(r Resource) []finding {
	for _, ingress := range r.at("serviceMeshProfile", "istio", "components", "ingressGateways").elements() {
		if ingress.at("enabled").isTrue() && !ingress.at("mode").may("Internal") {
			return []finding{{
				fmt.Sprintf("the mesh has an ingress gateway with a public address: its mode is %s", ingress.at("mode")),
				"use Internal; requests come in by the Application Gateway",
			}}
		}
	}
	return nil
}

var (
	// theInternet lists the sources of a security rule that mean it.
	theInternet = []string{"*", "Any", "Internet", "0.0.0.0/0", "::/0"}
	// webPorts may be open to it.
	webPorts = []string{"80", "443"}
)

// openPorts finds the rules of a security group that let the Internet in to anything but the ports
// of the web.
func openPorts(rules ...property) []finding {
	var found []finding
	for _, rule := range rules {
		from := append(rule.at("sourceAddressPrefixes").elements(), rule.at("sourceAddressPrefix"))
		to := append(rule.at("destinationPortRanges").elements(), rule.at("destinationPortRange"))
		if !rule.at("access").is("Allow") || !rule.at("direction").is("Inbound") ||
			!slices.ContainsFunc(from, func(source property) bool { return source.is(theInternet...) }) {
			continue
		}
		for _, port := range to {
			if !port.absent() && !port.may(webPorts...) {
				found = append(found, finding{
					fmt.Sprintf("the rule %s lets the Internet in to port %s", rule.at("name"), port),
					"name the addresses that may come in, or the ports " + strings.Join(webPorts, " and "),
				})
			}
		}
	}
	return found
}

func publicNodes(pools ...property) []finding {
	for _, pool := range pools {
		if pool.at("enableNodePublicIP").isTrue() {
			return []finding{{"nodes have public addresses", "leave enableNodePublicIP out"}}
		}
	}
	return nil
}

// publicUnlessDenied judges a resource with a firewall: it must have no public access, or deny all
// clients that no rule allows.
func publicUnlessDenied(what string, access, firewall property, field, remedy string) []finding {
	if access.may("Disabled") || firewall.unknown() {
		return nil
	}
	if !firewall.at("defaultAction").may("Deny") {
		return []finding{{what + " is open to the Internet", remedy}}
	}
	var found []finding
	for _, allowed := range firewall.at("ipRules").elements() {
		found = append(found, tooWide(what, allowed.at(field))...)
	}
	return found
}

// tooWide judges an allowed range of addresses. Azure itself refuses a text that is no range.
func tooWide(what string, address property) []finding {
	prefix, err := netip.ParsePrefix(address.text())
	if err != nil || prefix.Bits() >= narrowest {
		return nil
	}
	return []finding{{
		fmt.Sprintf("%s lets in %s, a good part of the Internet", what, address),
		fmt.Sprintf("name the ranges of people and pipelines, none wider than a /%d", narrowest),
	}}
}

func publicService(r Resource) []finding {
	if r.Type != "kubernetes:core/v1:Service" && r.Type != "kubernetes:core/v1:ServicePatch" {
		return nil
	}
	if !r.at("spec", "type").is("LoadBalancer") || r.at("metadata", "annotations", internalLoadBalancer).may("true") {
		return nil
	}
	return []finding{{
		"a load balancer with a public address",
		fmt.Sprintf("annotate it with %s: \"true\"", internalLoadBalancer),
	}}
}
