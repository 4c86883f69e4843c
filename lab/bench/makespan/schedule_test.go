package makespan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// made is a task that ran without a pause after the last of its dependencies.
func made(name, kind string, latency time.Duration, after ...*task) *task {
	t := &task{name: name, kind: kind, latency: latency, after: after, imposed: after}
	if len(after) > 0 {
		t.start = last(after).end
	}
	t.end = t.start + latency
	return t
}

func names(tasks []*task) []string {
	result := make([]string, len(tasks))
	for i, t := range tasks {
		result[i] = t.name
	}
	return result
}

func TestUnit_TheCriticalPathFollowsWhatEndedLast(t *testing.T) {
	t.Parallel()
	group := made("group", kindGroup, 1)
	network := made("network", kindNetwork, 2, group)
	quick := made("quick", "", 1, group)
	subnet := made("subnet", kindSubnet, 2, network, group)
	cluster := made("cluster", "", 10, quick, subnet)
	pool := made("pool", "", 4, cluster)
	lone := made("lone", "", 18)
	tasks := []*task{lone, pool, cluster, subnet, quick, network, group}
	assert.Equal(t, []string{"group", "network", "subnet", "cluster", "pool"}, names(criticalPath(tasks)))
	assert.Equal(t, time.Duration(19), makespan(tasks))

	chain, length := strictChain(tasks)
	assert.Equal(t, []string{"group", "network", "subnet", "lone"}, names(chain))
	assert.Equal(t, time.Duration(1+2+2+18), length, "only the slowest single resource counts, whatever else is behind it")
}

func TestUnit_TheMakespanCountsFromTheFirstStart(t *testing.T) {
	t.Parallel()
	assert.Zero(t, makespan(nil))
	assert.Empty(t, criticalPath(nil))
	assert.Equal(t, time.Duration(7), makespan([]*task{{start: 5, end: 6}, {start: 3, end: 10}}))
}

func TestUnit_OneOwnerWorksOnOneTaskAtATimeTheLongestTailFirst(t *testing.T) {
	t.Parallel()
	network := made("network", kindNetwork, 1)
	a := made("a", kindSubnet, 1, network)
	b := made("b", kindSubnet, 1, network)
	a.owner, b.owner = "network", "network"
	slow := made("slow", "", 10, b)
	chain, length := imposedPlan([]*task{network, a, b, slow})
	require.Len(t, chain, 3)
	assert.Equal(t, time.Duration(12), length, "b goes before a, because slow waits for it")
	assert.Equal(t, "slow", chain[2].task.name)
	assert.Equal(t, b, chain[2].held)

	both := made("both", "", 1, a, b)
	chain, length = imposedPlan([]*task{network, a, b, both})
	assert.Equal(t, time.Duration(4), length)
	assert.Len(t, chain, 4, "the second subnet waited for the first, though it does not depend on it")
}

func TestUnit_WhatARoleAllowsWaitsUntilTheRoleIsInForce(t *testing.T) {
	t.Parallel()
	role := made("role", kindAssignment, 1)
	role.settles = 60
	cluster := made("cluster", kindCluster, 5, role)
	chain, length := imposedPlan([]*task{cluster, role})
	assert.Equal(t, time.Duration(66), length)
	assert.Equal(t, time.Duration(61), chain[1].start)
}

func TestUnit_ARatioAboveTheLimitNamesThePath(t *testing.T) {
	t.Parallel()
	group := made("group", kindGroup, time.Minute)
	cluster := made("cluster", kindCluster, 5*time.Minute, group)
	pool := made("pool", "", 2*time.Minute, cluster)
	r := reportOf(measurement{environment: "dev", tasks: []*task{group, cluster, pool}}, 1)
	assert.InDelta(t, 8.0/6.0, r.Ratio, 1e-9)
	require.NoError(t, r.tooLong(1.4))
	require.ErrorContains(t, r.tooLong(1.15),
		"dev takes 1.33 times as long as its longest unavoidable chain, more than 1.15; shorten the path group → cluster → pool")
}
