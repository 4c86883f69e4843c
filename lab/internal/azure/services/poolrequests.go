package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	containerservice "github.com/pulumi/pulumi-azure-native-sdk/containerservice/v2/v20240901"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// These functions do what az does to a cluster and its pools. Azure treats pools in the cluster's
// record and pools with records of their own alike; only the programs' registrations make the
// difference.

// Upgrade upgrades a cluster to a version of Kubernetes, and then all of its pools, as "az aks
// upgrade" does. Azure's rules judge each request. The error is Azure's refusal.
func Upgrade(ctx context.Context, c *arm.Cloud, cluster, version string) error {
	err := c.Update(ctx, cluster, func(in arm.Document) arm.Document {
		return in.Merge(arm.Document{"kubernetesVersion": version})
	})
	if err != nil {
		return err
	}
	for _, pool := range slices.Sorted(maps.Keys(PoolVersions(c, cluster))) {
		err = errors.Join(err, UpgradePool(ctx, c, cluster, pool, version))
	}
	return err
}

// UpgradePool upgrades one pool of a cluster, as "az aks nodepool upgrade" does.
func UpgradePool(ctx context.Context, c *arm.Cloud, cluster, pool, version string) error {
	if _, exists := PoolVersions(c, cluster)[pool]; !exists {
		return noPool(cluster, pool)
	}
	return orderPool(ctx, c, cluster, pool, arm.Document{"orchestratorVersion": version})
}

// RefreshNodeImages gives all pools of a cluster the newest image, as "az aks upgrade
// --node-image-only" does.
func RefreshNodeImages(ctx context.Context, c *arm.Cloud, cluster string) error {
	if _, _, exists := c.Live(cluster); !exists {
		return fmt.Errorf("ResourceNotFound: %s was not found", cluster)
	}
	var err error
	for _, pool := range slices.Sorted(maps.Keys(PoolVersions(c, cluster))) {
		err = errors.Join(err, orderPool(ctx, c, cluster, pool, arm.Document{}))
	}
	return err
}

func noPool(cluster, pool string) error {
	return fmt.Errorf("ResourceNotFound: cluster '%s' has no agent pool '%s'", cluster, pool)
}

// orderPool sends a pool with an order in it, such as a version. Azure carries the order out and
// does not keep it as a setting, so a program that does not set the version sees no difference.
func orderPool(ctx context.Context, c *arm.Cloud, cluster, pool string, order arm.Document) error {
	id := cluster + "/agentPools/" + pool
	if _, _, own := c.Live(id); own {
		before, _, _ := c.Live(id)
		if err := c.Update(ctx, id, func(in arm.Document) arm.Document { return in.Merge(order) }); err != nil {
			return err
		}
		return c.Alter(id, func(_, out arm.Document) (arm.Document, arm.Document) { return before, out })
	}
	before, _, _ := c.Live(cluster)
	err := c.Update(ctx, cluster, func(in arm.Document) arm.Document {
		return in.Merge(arm.Document{inlinePoolsPath: changedInlinePools(in, func(p arm.Document) arm.Document {
			if p.Text("name") == pool {
				return p.Merge(order)
			}
			return p
		})})
	})
	if err != nil {
		return err
	}
	return c.Alter(cluster, func(_, out arm.Document) (arm.Document, arm.Document) { return before, out })
}

// changedInlinePools returns the inline pools of a cluster, each changed.
func changedInlinePools(in arm.Document, change func(arm.Document) arm.Document) []any {
	var result []any
	for _, pool := range in.Documents(inlinePoolsPath) {
		result = append(result, map[string]any(change(pool)))
	}
	return result
}

// AddPool creates a pool of a cluster, as "az aks nodepool add" does.
func AddPool(ctx context.Context, c *arm.Cloud, pool arm.Document) error {
	return c.Request(ctx, "azure-native:"+arm.ModuleOf(reflect.TypeFor[containerservice.AgentPool]().PkgPath())+":AgentPool", pool)
}

// DeletePool deletes a pool of a cluster, as "az aks nodepool delete" does. Azure keeps the last
// pool of mode System (azure-aks-docs use-system-pools, 30 April 2026; the code is that of
// Azure/AKS#2560). If the pool in the cluster's record is deleted, another system pool takes its
// place (inferred `system-pool-heir`).
func DeletePool(ctx context.Context, c *arm.Cloud, cluster, pool string) error {
	if _, exists := PoolVersions(c, cluster)[pool]; !exists {
		return noPool(cluster, pool)
	}
	if _, _, own := c.Live(cluster + "/agentPools/" + pool); own {
		return c.Delete(ctx, cluster+"/agentPools/"+pool)
	}
	var heir *arm.Record
	c.Look(func(v *arm.View) {
		for _, other := range v.Children(cluster) {
			if heir == nil && other.Kind == typePool && other.Inputs.Text("mode") == "System" {
				heir = other
			}
		}
	})
	if heir == nil {
		return fmt.Errorf("OperationNotAllowed: agent pool '%s' is the last of mode System in '%s'; add another first", pool, cluster)
	}
	profile := heir.Inputs.Without("resourceGroupName", "resourceName", "agentPoolName")
	profile["name"] = heir.Inputs.Text("agentPoolName")
	err := c.Update(ctx, cluster, func(in arm.Document) arm.Document {
		return in.Merge(arm.Document{inlinePoolsPath: []any{map[string]any(profile)}})
	})
	if err != nil {
		return err
	}
	return c.Forget(heir.ID)
}
