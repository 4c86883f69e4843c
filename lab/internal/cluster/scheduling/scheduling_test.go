package scheduling_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gridos/sharedinfra/lab/internal/cluster/scheduling"
)

var own = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}

// exclusive is the demand of one pod per node.
func exclusive() *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{LabelSelector: own, TopologyKey: corev1.LabelHostname}},
	}}
}

func template(cpu string, affinity *corev1.Affinity, spread ...corev1.TopologySpreadConstraint) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: own.MatchLabels},
		Spec: corev1.PodSpec{
			Affinity: affinity, TopologySpreadConstraints: spread,
			Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
			}}},
		},
	}
}

func workload(replicas, surge, unavailable int, template corev1.PodTemplateSpec) scheduling.Workload {
	return scheduling.Workload{
		Kind: "Deployment", Name: "a", Replicas: replicas, MaxSurge: surge, MaxUnavailable: unavailable, Template: template,
	}
}

func pool(least, most int) scheduling.Pool {
	return scheduling.Pool{
		Name: "user", Min: least, Max: most, Zones: []string{"1", "2", "3"}, Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourcePods: resource.MustParse("4"),
		},
	}
}

func TestUnit_TheBoundsOfAnUpdateAreRoundedAsKubernetesDoes(t *testing.T) {
	t.Parallel()
	share, none, one := intstr.FromString("25%"), intstr.FromInt32(0), intstr.FromInt32(1)
	for _, test := range []struct {
		replicas           int32
		strategy           appsv1.DeploymentStrategy
		surge, unavailable int
	}{
		{1, appsv1.DeploymentStrategy{}, 1, 0},
		{2, appsv1.DeploymentStrategy{}, 1, 0},
		{3, appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}, 1, 0},
		{4, appsv1.DeploymentStrategy{}, 1, 1},
		{5, appsv1.DeploymentStrategy{}, 2, 1},
		{8, appsv1.DeploymentStrategy{}, 2, 2},
		{3, appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &none, MaxUnavailable: &one}}, 0, 1},
		{3, appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &none, MaxUnavailable: &share}}, 0, 1},
		{3, appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &one}}, 1, 0},
		{3, appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, 0, 3},
	} {
		w, err := scheduling.Deployment(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &test.replicas, Strategy: test.strategy}})
		require.NoError(t, err)
		assert.Equal(t, []int{test.surge, test.unavailable}, []int{w.MaxSurge, w.MaxUnavailable}, "%d: %+v", test.replicas, test.strategy)
	}
	broken := intstr.FromString("a quarter")
	_, err := scheduling.Deployment(&appsv1.Deployment{Spec: appsv1.DeploymentSpec{
		Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &broken}},
	}})
	require.ErrorContains(t, err, "maxSurge")
	set, err := scheduling.StatefulSet(&appsv1.StatefulSet{})
	require.NoError(t, err)
	assert.Equal(t, []int{1, 0, 1}, []int{set.Replicas, set.MaxSurge, set.MaxUnavailable})
	_, err = scheduling.StatefulSet(&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{
		UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
	}})
	require.ErrorContains(t, err, "OnDelete")
}

func TestUnit_OnePodPerNodeNeedsANodeMoreOrAPodLess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pool               scheduling.Pool
		surge, unavailable int
		want               string
	}{
		"as many nodes as pods":         {pool(3, 3), 1, 0, "3 nodes have a pod that it must not be with, and no pool may grow for it"},
		"one node more":                 {pool(4, 4), 1, 0, ""},
		"a node that is added":          {pool(3, 4), 1, 0, ""},
		"from one node":                 {pool(1, 4), 1, 0, ""},
		"a pod less":                    {pool(3, 3), 0, 1, ""},
		"a pod more and less":           {pool(3, 3), 1, 1, ""},
		"all at once":                   {pool(3, 3), 0, 3, ""},
		"more at once than nodes allow": {pool(3, 3), 3, 0, "stops at 0 new pods"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scheduling.NewCluster(scheduling.Smallest, test.pool)
			w := workload(3, test.surge, test.unavailable, template("100m", exclusive()))
			require.NoError(t, c.Install(w))
			for range 3 { // each run leaves a cluster with which the next can begin
				err := c.Roll(w)
				if test.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, test.want)
				return
			}
		})
	}
}

func TestUnit_WhatIsInstalledNeedsRoom(t *testing.T) {
	t.Parallel()
	install := func(w scheduling.Workload, pools ...scheduling.Pool) error {
		return scheduling.NewCluster(scheduling.Largest, pools...).Install(w)
	}
	tainted := pool(3, 3)
	tainted.Taints = []corev1.Taint{{Key: "CriticalAddonsOnly", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
	tolerant := template("100m", nil)
	tolerant.Spec.Tolerations = []corev1.Toleration{{Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists}}

	require.NoError(t, install(workload(3, 1, 0, template("1", nil)), pool(1, 3)))
	require.ErrorContains(t, install(workload(4, 1, 0, template("1", nil)), pool(1, 3)), "3 nodes have too little cpu")
	require.ErrorContains(t, install(workload(5, 1, 0, template("1m", nil)), pool(1, 1)), "1 nodes have all the pods")
	require.ErrorContains(t, install(workload(1, 1, 0, template("1m", nil)), tainted), "3 nodes are tainted")
	require.NoError(t, install(workload(1, 1, 0, tolerant), tainted))
	require.ErrorContains(t, install(workload(4, 1, 0, template("1m", exclusive())), pool(3, 3)), "must not be with")

	second := workload(1, 1, 0, template("1m", nil)) // asks for nothing itself
	second.Name = "b"
	c := scheduling.NewCluster(scheduling.Largest, pool(1, 1))
	require.NoError(t, c.Install(workload(1, 1, 0, template("1m", exclusive()))))
	require.ErrorContains(t, c.Install(second), "must not be with", "the demand of a pod that is there holds for who comes")

	selecting := template("1m", nil)
	selecting.Spec.NodeSelector = map[string]string{"gpu": "true"}
	require.ErrorContains(t, install(workload(1, 1, 0, selecting), pool(1, 1)), "which the model does not know")
}

func TestUnit_ARequiredSpreadCountsZonesAndNodes(t *testing.T) {
	t.Parallel()
	spread := func(over string, keys ...string) corev1.TopologySpreadConstraint {
		return corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: over, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: own, MatchLabelKeys: keys,
		}
	}
	c := scheduling.NewCluster(scheduling.Largest, pool(3, 3))
	require.NoError(t, c.Install(workload(6, 1, 0, template("1m", nil, spread(corev1.LabelTopologyZone)))))

	// Two zones have one node each, which is full after one pod; the third zone may not have two
	// more pods than they have.
	narrow := pool(4, 4)
	narrow.Allocatable[corev1.ResourcePods] = resource.MustParse("1")
	c = scheduling.NewCluster(scheduling.Largest, narrow)
	require.NoError(t, c.Install(workload(4, 0, 1, template("1m", nil, spread(corev1.LabelTopologyZone)))))
	narrow.Zones = []string{"1", "2", "2", "2"}
	c = scheduling.NewCluster(scheduling.Largest, narrow)
	require.ErrorContains(t, c.Install(workload(4, 0, 1, template("1m", nil, spread(corev1.LabelTopologyZone)))),
		"would have more than 1 pods more than others by topology.kubernetes.io/zone")

	// If the count included both revisions, the old pods would decide where the new ones may be.
	// With a count by revision they do not.
	rolled := workload(3, 0, 1, template("1m", nil, spread(corev1.LabelHostname, "pod-template-hash")))
	c = scheduling.NewCluster(scheduling.Largest, pool(3, 3))
	require.NoError(t, c.Install(rolled))
	require.NoError(t, c.Roll(rolled))

	// Nodes that a pod does not tolerate stay empty. They count unless the constraint excludes
	// them.
	system := pool(3, 3)
	system.Name, system.Taints = "system", []corev1.Taint{{Key: "x", Effect: corev1.TaintEffectNoSchedule}}
	constraint := spread(corev1.LabelHostname)
	require.ErrorContains(t, scheduling.NewCluster(scheduling.Largest, system, pool(3, 3)).
		Install(workload(4, 1, 0, template("1m", nil, constraint))), "more than others by kubernetes.io/hostname")
	honour := corev1.NodeInclusionPolicyHonor
	constraint.NodeTaintsPolicy = &honour
	require.NoError(t, scheduling.NewCluster(scheduling.Largest, system, pool(3, 3)).
		Install(workload(4, 1, 0, template("1m", nil, constraint))))
}
