package services

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// unfulfilled returns one message for each deployment that Azure accepts in silence although it
// cannot work, and that no single request could be refused for: missing roles of an add-on of a
// live cluster (rule G6), a cluster with Azure's roles but without an administrator (rule K3), a
// server that the nodes in its virtual network cannot reach (rule N4). After a complete deployment
// there is none.
func unfulfilled(c *arm.Cloud) []string {
	var result []string
	c.Look(func(v *arm.View) {
		for _, cluster := range v.All(typeCluster) {
			result = slices.Concat(result, missingForAddOn(v, cluster), withoutAdministrator(v, cluster), unreachedServers(v, cluster))
		}
	})
	return result
}

// withoutAdministrator is K3: with Azure's roles, the principals with one of them administer a
// cluster.
func withoutAdministrator(v *arm.View, cluster *arm.Record) []string {
	if !cluster.Inputs.Flag("aadProfile.enableAzureRBAC") {
		return nil
	}
	for _, r := range v.All(typeRoleAssignment) {
		scope := r.Inputs.Text("scope")
		if roleOf(r.Inputs) == roleClusterAdmin && (arm.Key(scope) == arm.Key(cluster.ID) || arm.Within(cluster.ID, scope)) {
			return nil
		}
	}
	return []string{fmt.Sprintf("No principal may administer '%s': with aadProfile.enableAzureRBAC that needs a role of Azure. "+
		"Assign Azure Kubernetes Service RBAC Cluster Admin to the deployer (rule K3)", cluster.ID)}
}

// unreachedServers is N4: the security groups of both subnets allow the nodes of a cluster to reach
// the servers of its virtual network.
func unreachedServers(v *arm.View, cluster *arm.Record) []string {
	owners := joinedNetworks(arm.Subject{In: cluster.Inputs})
	var result []string
	for _, server := range v.All(typeServer) {
		id := server.Inputs.Text("network.delegatedSubnetResourceId")
		owner, _ := arm.Ancestor(id, typeNetwork)
		if !slices.ContainsFunc(owners, func(joined string) bool { return arm.Key(joined) == arm.Key(owner) }) {
			continue
		}
		servers, _ := subnetOf(v, id)
		for _, nodesID := range poolSubnetIDs(cluster.Inputs) {
			nodes, _ := subnetOf(v, nodesID)
			for _, from := range prefixesOf(nodes) {
				for _, to := range prefixesOf(servers) {
					f := flow{protocol: "Tcp", first: 5432, last: 5432, from: from, to: to}
					for direction, subnet := range map[string]arm.Document{"Inbound": servers, "Outbound": nodes} {
						f.direction = direction
						group := groupOf(v, subnet)
						if group == nil {
							continue
						}
						if by := deniedBy(group.Inputs, f); by != "" {
							result = append(result, fmt.Sprintf("The nodes of '%s' cannot reach '%s': network security group '%s' denies TCP 5432 "+
								"from %s to %s (%s) by rule '%s'. Allow it before (rule N4)", cluster.ID, server.ID, group.ID, from, to,
								strings.ToLower(direction), by))
						}
					}
				}
			}
		}
	}
	slices.Sort(result)
	return result
}
