package azcli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

const (
	clusters = "Microsoft.ContainerService/managedClusters"
)

func clusterActions() map[string]action {
	return map[string]action{
		"aks show":              showCluster,
		"aks get-upgrades":      clusterUpgrades,
		"aks upgrade":           upgradeCluster,
		"aks mesh get-upgrades": meshUpgrades,
		"aks nodepool list":     listPools,
		"aks nodepool add":      addPool,
		"aks nodepool delete":   deletePool,
		"aks nodepool upgrade":  upgradePool,
	}
}

// cluster returns the id of the cluster that a command is about.
func (c Client) cluster(command Command) string {
	name := command.Value("--cluster-name")
	if name == "" {
		name = command.Value("--name")
	}
	return c.id(command.Value("--resource-group"), clusters, name)
}

func showCluster(_ context.Context, c Client, command Command) (any, error) {
	return c.show(c.cluster(command))
}

// clusterUpgrades returns the version of the cluster and the next minor one, the only one that it
// can be upgraded to.
func clusterUpgrades(_ context.Context, c Client, command Command) (any, error) {
	cluster, err := c.show(c.cluster(command))
	if err != nil {
		return nil, err
	}
	version := fmt.Sprint(cluster["currentKubernetesVersion"])
	parts := strings.Split(version, ".")
	minor, err := strconv.Atoi(parts[min(1, len(parts)-1)])
	if err != nil {
		return nil, fmt.Errorf("the cluster has the version %q: %w", version, err)
	}
	return map[string]any{"controlPlaneProfile": map[string]any{
		"kubernetesVersion": version,
		"upgrades":          []any{map[string]any{"kubernetesVersion": fmt.Sprintf("1.%d.0", minor+1)}},
	}}, nil
}

func meshUpgrades(_ context.Context, c Client, command Command) (any, error) {
	in, _, exists := c.Cloud.Live(c.cluster(command))
	if !exists {
		return nil, fmt.Errorf("(ResourceNotFound) The Resource '%s' was not found", c.cluster(command))
	}
	return map[string]any{"revisions": in.Texts("serviceMeshProfile.istio.revisions")}, nil
}

// upgradeCluster upgrades the control plane and then all pools, or gives all pools the newest
// image.
func upgradeCluster(ctx context.Context, c Client, command Command) (any, error) {
	version, image := command.Value("--kubernetes-version"), command.Has("--node-image-only")
	// azure-cli 2.45.0, command_modules/acs/custom.py, aks_upgrade: the two exclude each other.
	if (version == "") == !image || version != "" && image {
		return nil, fmt.Errorf("give either --kubernetes-version or --node-image-only")
	}
	if image {
		return nil, c.Cloud.RefreshNodeImages(ctx, c.cluster(command))
	}
	return nil, c.Cloud.Upgrade(ctx, c.cluster(command), version)
}

func upgradePool(ctx context.Context, c Client, command Command) (any, error) {
	return nil, c.Cloud.UpgradePool(ctx, c.cluster(command), command.Value("--name"), command.Value("--kubernetes-version"))
}

func listPools(_ context.Context, c Client, command Command) (any, error) {
	if _, err := c.show(c.cluster(command)); err != nil {
		return nil, err
	}
	counts := c.Cloud.PoolCounts(c.cluster(command))
	var list []any
	for name, version := range c.Cloud.PoolVersions(c.cluster(command)) {
		list = append(list, map[string]any{"name": name, "orchestratorVersion": version, "count": counts[name]})
	}
	return list, nil
}

// addPool creates a pool with the request that az sends for the flags. Flags that a command leaves
// out have the defaults of az: azure-cli 2.45.0, command_modules/acs, _params.py and
// agentpool_decorator.py.
func addPool(ctx context.Context, c Client, command Command) (any, error) {
	cluster := c.cluster(command)
	pool := map[string]any{
		"resourceGroupName": command.Value("--resource-group"), "resourceName": command.Value("--cluster-name"),
		"agentPoolName": command.Value("--name"),
		"mode":          "User", "vmSize": "Standard_DS2_v2", "count": 3.0, "osType": "Linux", "osSKU": "Ubuntu",
		"type": "VirtualMachineScaleSets", "enableEncryptionAtHost": false,
	}
	text := map[string]string{
		"--mode": "mode", "--node-vm-size": "vmSize", "--os-sku": "osSKU", "--node-osdisk-type": "osDiskType",
		"--vnet-subnet-id": "vnetSubnetID",
	}
	numbers := map[string]string{
		"--node-count": "count", "--min-count": "minCount", "--max-count": "maxCount", "--max-pods": "maxPods",
		"--node-osdisk-size": "osDiskSizeGB",
	}
	for flag, values := range command.Flags {
		switch {
		case text[flag] != "":
			pool[text[flag]] = command.Value(flag)
		case numbers[flag] != "":
			number, err := strconv.Atoi(command.Value(flag))
			if err != nil {
				return nil, fmt.Errorf("%s: %q is no number", flag, command.Value(flag))
			}
			pool[numbers[flag]] = float64(number)
		case flag == "--enable-cluster-autoscaler":
			pool["enableAutoScaling"] = true
		case flag == "--enable-encryption-at-host":
			pool["enableEncryptionAtHost"] = true
		case flag == "--zones":
			pool["availabilityZones"] = list(values)
		case flag == "--node-taints":
			pool["nodeTaints"] = list(strings.Split(command.Value(flag), ","))
		case flag == "--max-surge":
			pool["upgradeSettings"] = map[string]any{"maxSurge": command.Value(flag)}
		}
	}
	if err := c.Cloud.AddPool(ctx, pool); err != nil {
		return nil, err
	}
	return c.show(cluster + "/agentPools/" + command.Value("--name"))
}

func deletePool(ctx context.Context, c Client, command Command) (any, error) {
	return nil, c.Cloud.DeletePool(ctx, c.cluster(command), command.Value("--name"))
}

func list(values []string) []any {
	var items []any
	for _, v := range values {
		items = append(items, v)
	}
	return items
}
