package helm

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
)

func TestUnit_OnlyWhatAKilledUpdateLeftIsStale(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, description string
		install, upgrade    bool
	}{
		{"pending-install", "Initial install underway", true, true},
		{"pending-upgrade", "Preparing upgrade", true, true},
		{"pending-rollback", "Rollback to 1", true, true},
		{"uninstalling", "Deletion in progress (or silently failed)", true, false},
		{"failed", "Release failed", true, false},
		{"deployed", installedBy, true, false},
		{"superseded", installedBy, true, false},
		{"deployed", "Install complete", false, false}, // installed without Pulumi
		{"deployed", "Rollback to 1", false, false},    // the description does not say whose it is
	} {
		list := []record{{status: c.status, description: c.description}}
		assert.Equal(t, c.install, len(staleForInstall(list)) == 1, "install: %s, %s", c.status, c.description)
		assert.Equal(t, c.upgrade, len(staleForUpgrade(list)) == 1, "upgrade: %s, %s", c.status, c.description)
	}
}

// The histories are those that Helm writes with atomic set.
func TestUnit_AReleaseThatWasRolledBackIsStillThePlatforms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history []record
		stale   []string
	}{
		"an update failed and was rolled back": {[]record{
			{"v1", "", "superseded", "1", installedBy},
			{"v2", "", "failed", "2", `Upgrade "argocd" failed: timed out waiting for the condition`},
			{"v3", "", "deployed", "3", "Rollback to 1"},
		}, []string{"v1", "v2", "v3"}},
		"two updates failed": {[]record{
			{"v1", "", "superseded", "1", installedBy},
			{"v2", "", "failed", "2", "Upgrade failed"},
			{"v3", "", "superseded", "3", "Rollback to 1"},
			{"v4", "", "failed", "4", "Upgrade failed"},
			{"v5", "", "deployed", "5", "Rollback to 3"},
		}, []string{"v1", "v2", "v3", "v4", "v5"}},
		"a release from past Pulumi was rolled back": {[]record{
			{"v1", "", "superseded", "1", "Install complete"},
			{"v2", "", "failed", "2", "Upgrade failed"},
			{"v3", "", "deployed", "3", "Rollback to 1"},
		}, []string{"v2"}},
	} {
		var stale []string
		for _, r := range staleForInstall(test.history) {
			stale = append(stale, r.secret)
		}
		assert.Equal(t, test.stale, stale, name)
		assert.Empty(t, staleForUpgrade(test.history), name)
	}
}

// written returns a record as Helm encodes it, before the API server encodes it again.
func written(t *testing.T) string {
	t.Helper()
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	_, err := writer.Write([]byte(`{"name":"argocd","info":{"status":"deployed","description":"` + installedBy + `"}}`))
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return base64.StdEncoding.EncodeToString(zipped.Bytes())
}

// The labels are those that Helm writes (Helm 3.18.6, pkg/storage/driver/secrets.go,
// newSecretsObject).
func TestUnit_OnlyRecordsOfTheReleaseAreListed(t *testing.T) {
	t.Parallel()
	var objects []runtime.Object
	for name, labels := range map[string]map[string]string{
		"sh.helm.release.v1.argocd.v1":        {"owner": "helm", "name": "argocd", "status": "superseded", "version": "1"},
		"sh.helm.release.v1.argocd.v2":        {"owner": "helm", "name": "argocd", "status": "deployed", "version": "2"},
		"sh.helm.release.v1.argo-rollouts.v1": {"owner": "helm", "name": "argo-rollouts", "status": "deployed", "version": "1"},
		"argocd-secret":                       {"name": "argocd"},
	} {
		objects = append(objects, &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "argocd", Labels: labels},
			Data:       map[string][]byte{"release": []byte(written(t))},
		})
	}
	secrets := fake.NewSimpleDynamicClient(scheme.Scheme, objects...).
		Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace("argocd")
	found, err := listRecords(t.Context(), secrets, "argocd")
	require.NoError(t, err)
	statuses := map[string]string{}
	for _, r := range found.list {
		assert.Equal(t, installedBy, r.description)
		statuses[r.revision] = r.status
	}
	assert.Equal(t, map[string]string{"1": "superseded", "2": "deployed"}, statuses)
}

func TestUnit_ARecordThatCannotBeDeletedIsAnError(t *testing.T) {
	t.Parallel()
	resource := corev1.SchemeGroupVersion.WithResource("secrets")
	client := fake.NewSimpleDynamicClient(scheme.Scheme)
	of := records{secrets: client.Resource(resource).Namespace("argocd")}
	require.NoError(t, of.remove(t.Context(), record{secret: "gone", uid: "1"}), "another has deleted it")
	client.PrependReactor("delete", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(resource.GroupResource(), "kept", errors.New("not for you"))
	})
	require.ErrorContains(t, of.remove(t.Context(), record{secret: "kept", uid: "1"}), "not for you")
}

func TestUnit_RecordsThatCannotBeListedAreAnError(t *testing.T) {
	t.Parallel()
	resource := corev1.SchemeGroupVersion.WithResource("secrets")
	client := fake.NewSimpleDynamicClient(scheme.Scheme)
	client.PrependReactor("list", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(resource.GroupResource(), "", errors.New("not for you"))
	})
	_, err := listRecords(t.Context(), client.Resource(resource).Namespace("argocd"), "argocd")
	require.ErrorContains(t, err, "not for you")

	client = fake.NewSimpleDynamicClient(scheme.Scheme, &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "odd", Namespace: "argocd", Labels: map[string]string{"owner": "helm", "name": "argocd"}},
	})
	_, err = listRecords(t.Context(), client.Resource(resource).Namespace("argocd"), "argocd")
	require.ErrorContains(t, err, "secret odd: ")
}

func TestUnit_ADescriptionIsReadFromTheRecord(t *testing.T) {
	t.Parallel()
	once := written(t)
	twice := base64.StdEncoding.EncodeToString([]byte(once))

	description, err := descriptionIn(map[string]any{"data": map[string]any{"release": twice}})
	require.NoError(t, err)
	assert.Equal(t, installedBy, description)
	for name, broken := range map[string]string{"none": "", "once": once, "no base64": "%"} {
		_, err := descriptionIn(map[string]any{"data": map[string]any{"release": broken}})
		require.ErrorContains(t, err, "is no record of Helm 3", name)
	}
}

// The kubeconfig is an output of Azure: what cannot be used is reported, and not taken for an empty
// cluster.
func TestUnit_AKubeconfigThatCannotBeUsedIsAnError(t *testing.T) {
	t.Parallel()
	const whole = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
  users: [{name: u}], clusters: [{name: c, cluster: {server: "https://c.example.com", certificate-authority-data: %s}}]}`
	for kubeconfig, problem := range map[string]string{
		"no: [kubeconfig": "yaml",
		fmt.Sprintf(whole, base64.StdEncoding.EncodeToString([]byte("no certificate"))): "unable to load root certificates",
	} {
		_, err := readRecords(t.Context(), kubeconfig, "argocd", "argocd")
		require.ErrorContains(t, err, problem)
	}
}
