package makespan

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gridos/sharedinfra/lab/internal/azure"
)

const (
	groupID    = "/subscriptions/s/resourceGroups/g"
	networkID  = groupID + "/providers/Microsoft.Network/virtualNetworks/v"
	identityID = groupID + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
	roleID     = networkID + "/providers/Microsoft.Authorization/roleAssignments/r"
	clusterID  = groupID + "/providers/Microsoft.ContainerService/managedClusters/c"
	principal  = "11111111-1111-1111-1111-111111111111"
)

func urn(name string) resource.URN { return resource.URN("urn:pulumi:dev::p::t::" + name) }

func state(name, id string, inputs, outputs map[string]any, after ...string) apitype.ResourceV3 {
	r := apitype.ResourceV3{URN: urn(name), Custom: true, ID: resource.ID(id), Inputs: inputs, Outputs: outputs}
	for _, a := range after {
		r.Dependencies = append(r.Dependencies, urn(a))
	}
	return r
}

// event is the creation of a resource, between two moments of this machine.
func event(kind, id string, start, end time.Duration) azure.Event {
	begin := time.Unix(0, 0)
	return azure.Event{
		Operation: azure.OperationCreate, Type: kind, ID: id, Start: begin.Add(start), End: begin.Add(end), Latency: time.Minute,
	}
}

func TestUnit_TasksKnowWhatTheyWaitedForAndWhatAzureImposes(t *testing.T) {
	t.Parallel()
	resources := []apitype.ResourceV3{
		state("group", groupID, nil, nil),
		state("network", networkID, nil, nil, "group"),
		state("identity", identityID, nil, map[string]any{"principalId": principal}, "group"),
		state("role", roleID, map[string]any{"scope": networkID, "principalId": principal}, nil, "identity", "network"),
		state("password", "", nil, nil, "role"),
		state("cluster", clusterID, map[string]any{
			"identity": map[string]any{"userAssignedIdentities": []any{identityID}},
		}, nil, "identity", "password"),
	}
	tasks, err := graph([]azure.Event{
		event(kindCluster, clusterID, 40*time.Second, 50*time.Second),
		event(kindGroup, groupID, 0, 10*time.Second),
		event(kindNetwork, networkID, 10*time.Second, 20*time.Second),
		event(kindIdentity, identityID, 10*time.Second, 20*time.Second),
		event(kindAssignment, roleID, 20*time.Second, 30*time.Second),
	}, resources, 0.5, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{"group", "network", "identity", "role", "cluster"}, names(tasks))

	role, cluster := tasks[3], tasks[4]
	assert.Equal(t, 80*time.Second, cluster.start, "at half of Azure's time")
	assert.Equal(t, []string{"group", "network", "identity"}, names(role.imposed),
		"by its scope, by the principal that Azure issued, and by what it is in")
	assert.Equal(t, time.Minute, role.settles)
	assert.Equal(t, []string{"identity", "role"}, names(cluster.after), "a password is no task, and stands for what it depends on")
	assert.Equal(t, []string{"group", "identity", "role"}, names(cluster.imposed), "the role by rule K1 alone")
}

func TestUnit_WhatIsInASubnetWaitsForAllSubnetsOfItsNetwork(t *testing.T) {
	t.Parallel()
	const (
		elsewhereID = groupID + "/providers/Microsoft.Network/virtualNetworks/elsewhere"
		gatewayID   = groupID + "/providers/Microsoft.Network/applicationGateways/agw"
	)
	resources := []apitype.ResourceV3{
		state("mine", networkID+"/subnets/mine", nil, nil),
		state("other", networkID+"/subnets/other", nil, nil),
		state("foreign", elsewhereID+"/subnets/foreign", nil, nil),
		state("gateway", gatewayID, map[string]any{"subnet": map[string]any{"id": networkID + "/subnets/mine"}}, nil),
	}
	tasks, err := graph([]azure.Event{
		event(kindSubnet, networkID+"/subnets/mine", 0, time.Second),
		event(kindSubnet, networkID+"/subnets/other", time.Second, 2*time.Second),
		event(kindSubnet, elsewhereID+"/subnets/foreign", time.Second, 2*time.Second),
		event(kindGateway, gatewayID, 3*time.Second, 4*time.Second),
	}, resources, 1, 0)
	require.NoError(t, err)
	assert.Equal(t, []string{"mine", "other"}, names(tasks[3].imposed), "rule N10")
	assert.Empty(t, tasks[1].imposed, "subnets are one at a time by their owner's lock")
}

func TestUnit_AnEventThatNoStateKnowsIsAnError(t *testing.T) {
	t.Parallel()
	_, err := graph([]azure.Event{{Operation: azure.OperationCreate, ID: groupID}}, nil, 1, 0)
	require.ErrorContains(t, err, "create of "+groupID+" is in no stack's state")
}
