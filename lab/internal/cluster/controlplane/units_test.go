package controlplane

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestUnit_NodeCarriesWhatAKSGivesIt(t *testing.T) {
	node, err := Node{
		Name: "aks-user-0", Pool: "user", Mode: "User", VMSize: "Standard_D4s_v5", Zone: "westeurope-2",
		Labels: map[string]string{"workload": "gridos"},
		Taints: []string{"dedicated=gridos:NoSchedule", "spot:PreferNoSchedule"},
	}.object()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"kubernetes.io/hostname": "aks-user-0", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
		"kubernetes.azure.com/cluster": "gridos-lab",
		"agentpool":                    "user", "kubernetes.azure.com/agentpool": "user", "kubernetes.azure.com/mode": "user",
		"node.kubernetes.io/instance-type": "Standard_D4s_v5",
		"topology.kubernetes.io/zone":      "westeurope-2", "topology.kubernetes.io/region": "westeurope",
		"workload": "gridos",
	}, node.Labels)
	assert.Equal(t, []corev1.Taint{
		{Key: "dedicated", Value: "gridos", Effect: corev1.TaintEffectNoSchedule},
		{Key: "spot", Effect: corev1.TaintEffectPreferNoSchedule},
	}, node.Spec.Taints)
	for _, wrong := range []string{"", "a=b", "a=b:Never", "=b:NoSchedule"} {
		_, err := Node{Name: "n", Taints: []string{wrong}}.object()
		require.ErrorContains(t, err, "want key=value:Effect", "taint %q", wrong)
	}
}

func TestUnit_CertificatesAreKept(t *testing.T) {
	dir := t.TempDir()
	want := certificate{name: "somebody", commonName: "somebody"}
	first, err := openAuthority(dir)
	require.NoError(t, err)
	before, err := first.issue(want)
	require.NoError(t, err)
	again, err := openAuthority(dir)
	require.NoError(t, err)
	assert.Equal(t, first.caPEM(), again.caPEM())
	after, err := again.issue(want)
	require.NoError(t, err)
	assert.Equal(t, before, after)

	// A start that was interrupted between two files leaves a useless pair, which must not block
	// the next start.
	require.NoError(t, os.Remove(after.keyFile))
	renewed, err := again.issue(want)
	require.NoError(t, err)
	assert.NotEqual(t, before.certPEM, renewed.certPEM)
	require.NoError(t, os.Remove(filepath.Join(dir, caCertFile)))
	other, err := openAuthority(dir)
	require.NoError(t, err)
	reissued, err := other.issue(want)
	require.NoError(t, err)
	assert.NotEqual(t, renewed.certPEM, reissued.certPEM, "a certificate of the former authority is not handed out")
}

func TestUnit_OnlyOurOwnProcessesAreStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	layout, err := newLayout(dir)
	require.NoError(t, err)
	require.NoError(t, layout.create())
	run := func(argument string) <-chan error {
		command := exec.CommandContext(t.Context(), "sh", "-c", "while :; do sleep 0.05; done", argument)
		require.NoError(t, command.Start())
		ended := make(chan error, 1)
		go func() { ended <- command.Wait() }()
		return ended
	}
	ours := run("--data-dir=" + layout.etcd)
	neighbours := run("--data-dir=" + layout.etcd + "-of-somebody-else")
	users := run("--kubeconfig=" + layout.kubeconfig(adminUser.name))

	require.NoError(t, Reap(dir))
	require.Error(t, <-ours, "ended by a signal")
	for _, others := range []<-chan error{neighbours, users} {
		select {
		case err := <-others:
			t.Errorf("a process that is not ours was stopped: %v", err)
		default:
		}
	}
}
