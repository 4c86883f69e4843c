package services

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Sync sets the nodes and the ingress gateways that the live cluster should have. Call it after the
// Kubernetes behind a reopened cloud has been started again. Without Kubernetes or without a
// cluster it does nothing.
func Sync(ctx context.Context, c *arm.Cloud, kubernetes Kubernetes) error {
	if kubernetes == nil {
		return nil
	}
	var clusters []*arm.Record
	var nodes []Node
	var gateways []IngressGateway
	c.Look(func(v *arm.View) {
		clusters = v.All(typeCluster)
		for _, cluster := range clusters {
			nodes = append(nodes, nodesOf(v, cluster, nil, "")...)
			gateways = append(gateways, gatewaysOf(cluster)...)
		}
	})
	if len(clusters) == 0 {
		return nil
	}
	if err := kubernetes.SetNodes(ctx, nodes); err != nil {
		return fmt.Errorf("nodes of the cluster cannot be set: %w", err)
	}
	if err := kubernetes.SetIngressGateways(ctx, gateways); err != nil {
		return fmt.Errorf("ingress gateways of the cluster cannot be set: %w", err)
	}
	return nil
}

// setNodes gives Kubernetes the nodes that the cluster has after an operation on it or on one of
// its pools.
func (k behind) setNodes(ctx context.Context, c *arm.Cloud, verb arm.Operation, changed *arm.Record) error {
	if k.Kubernetes == nil {
		return nil
	}
	owner, _ := arm.Ancestor(changed.ID, typeCluster)
	var nodes []Node
	c.Look(func(v *arm.View) {
		cluster, gone := v.Live(owner), ""
		if changed.Kind == typeCluster {
			cluster = changed
		}
		if verb == arm.OperationDelete {
			gone = changed.ID
		}
		if cluster != nil && arm.Key(gone) != arm.Key(owner) {
			nodes = nodesOf(v, cluster, changed, gone)
		}
	})
	if err := k.SetNodes(ctx, nodes); err != nil {
		return fmt.Errorf("nodes of cluster %q cannot be set: %w", owner, err)
	}
	return nil
}

// nodesOf returns the wanted nodes of a cluster: those of its inline pools and of its agent pools.
// It takes the inputs of changed instead of the stored ones, and leaves out the pool gone.
func nodesOf(v *arm.View, cluster, changed *arm.Record, gone string) []Node {
	location := strings.ToLower(strings.ReplaceAll(v.LocationOf(cluster), " ", ""))
	group := nodeGroup(arm.Subject{In: cluster.Inputs.Merge(arm.Document{"location": location})})
	var nodes []Node
	for _, pool := range cluster.Inputs.Documents("agentPoolProfiles") {
		nodes = append(nodes, poolNodes(pool.Text("name"), pool, location, group)...)
	}
	pools := map[string]*arm.Record{}
	for _, r := range v.All(typePool) {
		if arm.Within(r.ID, cluster.ID) {
			pools[arm.Key(r.ID)] = r
		}
	}
	if changed != nil && changed.Kind == typePool {
		pools[arm.Key(changed.ID)] = changed
	}
	delete(pools, arm.Key(gone))
	for _, r := range arm.Sorted(pools) {
		nodes = append(nodes, poolNodes(r.Inputs.Text("agentPoolName"), r.Inputs, location, group)...)
	}
	return nodes
}

// nodeCount returns how many nodes a pool gets. The simulator acts as a cluster autoscaler at full
// scale: an autoscaled pool always has its maximum of nodes, so that pods that fit into the pool
// are scheduled without waiting.
func nodeCount(pool arm.Document) int {
	count, _ := pool.Number("count")
	if pool.Flag("enableAutoScaling") {
		count, _ = pool.Number("maxCount")
	}
	return int(count)
}

// poolNodes returns the nodes of a pool, named and labelled as AKS does and spread over the pool's
// zones in turn.
func poolNodes(name string, pool arm.Document, location, group string) []Node {
	mode := pool.Text("mode")
	if mode == "" {
		mode = "User"
	}
	zones := pool.Texts("availabilityZones")
	nodes := make([]Node, 0, nodeCount(pool))
	for i := range nodeCount(pool) {
		node := Node{
			Name:   "aks-" + name + "-00000000-vmss" + machineNumber(i),
			Pool:   name,
			Mode:   mode,
			VMSize: pool.Text("vmSize"),
			Taints: pool.Texts("nodeTaints"),
		}
		zoneLabel := "0" // the zone of machines without one
		if len(zones) > 0 {
			node.Zone = location + "-" + zones[i%len(zones)]
			zoneLabel = node.Zone
		}
		node.Labels = map[string]string{
			"agentpool":                        name,
			"kubernetes.azure.com/agentpool":   name,
			"kubernetes.azure.com/mode":        strings.ToLower(mode),
			"kubernetes.azure.com/cluster":     labelValue(group),
			"kubernetes.azure.com/role":        "agent",
			"kubernetes.io/os":                 "linux",
			"kubernetes.io/arch":               "amd64",
			"kubernetes.io/hostname":           node.Name,
			"node.kubernetes.io/instance-type": node.VMSize,
			"topology.kubernetes.io/region":    location,
			"topology.kubernetes.io/zone":      zoneLabel,
		}
		maps.Copy(node.Labels, labelsOf(pool))
		nodes = append(nodes, node)
	}
	return nodes
}

// labelValue cuts a name to the 63 characters that a label may have.
func labelValue(name string) string { return strings.TrimRight(name[:min(len(name), 63)], "-_.()") }

// machineNumber counts the machines of a scale set as Azure does: in base 36, with six digits.
func machineNumber(i int) string {
	digits := strconv.FormatInt(int64(i), 36)
	return strings.Repeat("0", max(0, 6-len(digits))) + digits
}

func labelsOf(pool arm.Document) map[string]string {
	labels := map[string]string{}
	for name, value := range pool.Document("nodeLabels") {
		if text, ok := value.(string); ok {
			labels[name] = text
		}
	}
	return labels
}
