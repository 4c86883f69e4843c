package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

// intruderName is the name of everything that intruders write.
const intruderName = "intruder"

// intrusion is an Application that wants more than its project permits.
type intrusion struct {
	name string
	// repository and namespace are its source and destination, if not those of the project.
	repository, namespace string
	// manifest is the object that it would create, and created is that object's kind.
	manifest  string
	created   schema.GroupVersionResource
	where     string
	refusedBy string
	// project is the Application's project, if not that of the reference application.
	project string
}

func intrusions() []intrusion {
	const (
		configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + intruderName + "\n"
		secret    = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: " + intruderName + "\nstringData:\n  of: an intruder\n"
		role      = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: " + intruderName + "\n" +
			"rules:\n- apiGroups: ['*']\n  resources: ['*']\n  verbs: ['*']\n"
	)
	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	roles := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	const gridos, system = naming.NamespaceGridOS, metav1.NamespaceSystem
	return []intrusion{
		{
			"another namespace", "", system, configMap, configMaps, system,
			"do not match any of the allowed destinations in project 'gridos'", "",
		},
		{
			"another namespace, named by the object", "", gridos, configMap + "  namespace: " + system + "\n", configMaps, system,
			"namespace kube-system is not permitted in project 'gridos'", "",
		},
		{
			"a foreign repository", "https://git.example.com/intruder.git", gridos, "", configMaps, gridos,
			"repo https://git.example.com/intruder.git is not permitted in project 'gridos'", "",
		},
		{"a kind of the whole cluster", "", gridos, role, roles, "", "ClusterRole is not permitted in project gridos", ""},
		{"a Secret", "", gridos, secret, secrets, gridos, "Secret is not permitted in project gridos", ""},
		{
			"Argo CD's own project", "", gridos, configMap, configMaps, gridos,
			"is not permitted in project 'default'", naming.ProjectDefault,
		},
	}
}

// intruders writes Applications as an attacker with the right to write them would. Only gridos-apps
// should have that right.
func intruders(ctx context.Context, s *Stage) (evidence string, err error) {
	all := intrusions()
	folder := func(i int) string { return path.Join("applications", fmt.Sprintf("%s-%d", intruderName, i)) }
	for i, in := range all {
		if err := s.work.WriteFile(path.Join(folder(i), "manifest.yaml"), []byte(in.manifest)); err != nil {
			return "", err
		}
	}
	if _, err := s.commit(ctx, "feat: objects that the project does not allow"); err != nil {
		return "", err
	}
	applications := s.cluster.Objects.Resource(argo.Applications).Namespace(naming.NamespaceArgoCD)
	for i, in := range all {
		application := in.application(fmt.Sprintf("%s-%d", intruderName, i), s.status.GitURL, folder(i))
		if _, err := applications.Create(ctx, application, metav1.CreateOptions{}); err != nil {
			return "", fmt.Errorf("%s: %w", in.name, err)
		}
		defer func() {
			back, cancel := soon(context.WithoutCancel(ctx))
			defer cancel()
			err = errors.Join(err, applications.Delete(back, application.GetName(), metav1.DeleteOptions{}))
		}()
	}
	for i, in := range all {
		said := ""
		if err := eventually(ctx, "Argo CD refuses "+in.name, func(ctx context.Context) (bool, error) {
			object, err := applications.Get(ctx, fmt.Sprintf("%s-%d", intruderName, i), metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			text, err := object.MarshalJSON()
			if err != nil {
				return false, err
			}
			var application argo.Application
			err = json.Unmarshal(text, &application)
			said = application.Problem()
			return strings.Contains(said, in.refusedBy), err
		}); err != nil {
			return "", fmt.Errorf("%w; it says: %s", err, said)
		}
		s.tell("refused", "%s: %s", in.name, said)
		_, err := s.cluster.Objects.Resource(in.created).Namespace(in.where).Get(ctx, intruderName, metav1.GetOptions{})
		if err == nil {
			return "", fmt.Errorf("%s: %s %s is in the cluster", in.name, in.created.Resource, intruderName)
		}
		if !apierrors.IsNotFound(err) {
			return "", err
		}
	}
	names := make([]string, len(all))
	for i, in := range all {
		names[i] = in.name
	}
	return "refused: " + strings.Join(names, "; "), nil
}

// application renders the Application, which syncs by itself.
func (in intrusion) application(name, repository, folder string) *unstructured.Unstructured {
	if in.repository != "" {
		repository = in.repository
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": argo.Applications.GroupVersion().String(), "kind": "Application",
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"project":     cmp.Or(in.project, naming.ProjectGridOS),
			"source":      map[string]any{"repoURL": repository, "targetRevision": "HEAD", "path": folder},
			"destination": map[string]any{"server": "https://kubernetes.default.svc", "namespace": in.namespace},
			"syncPolicy":  map[string]any{"automated": map[string]any{}},
		},
	}}
}

// withoutGroup asks Argo CD's own judge for the rights of a user who signs in and is in no group,
// with the policy of the cluster.
func withoutGroup(ctx context.Context, s *Stage) (string, error) {
	asks := []struct {
		resource, object string
		actions          []string
	}{
		{"applications", "gridos/*", []string{"get", "create", "update", "delete", "sync", "override"}},
		{"applications", "platform/*", []string{"get", "create", "update", "delete", "sync", "override"}},
		{"logs", "gridos/*", []string{"get"}},
		{"exec", "gridos/*", []string{"create"}},
		{"projects", "*", []string{"get", "create", "update", "delete"}},
		{"repositories", "*", []string{"get", "create", "update", "delete"}},
		{"clusters", "*", []string{"get", "create", "update", "delete"}},
		{"accounts", "*", []string{"update"}},
	}
	asked := 0
	for _, ask := range asks {
		for _, action := range ask.actions {
			may, err := s.may(ctx, "stranger@example.com", action, ask.resource, ask.object)
			if err != nil {
				return "", err
			}
			if may {
				return "", fmt.Errorf("a user without a role may %s %s %s", action, ask.resource, ask.object)
			}
			asked++
		}
		// A judge that always refuses would prove nothing.
		if may, err := s.may(ctx, "role:admin", ask.actions[0], ask.resource, ask.object); err != nil || !may {
			return "", errors.Join(err, fmt.Errorf("role:admin may not %s %s %s", ask.actions[0], ask.resource, ask.object))
		}
	}
	if err := s.strangers(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d questions about %d kinds, and No to each; the API wants a token, the webhook a signature", asked, len(asks)), nil
}

// strangers calls Argo CD's API without signing in, and sends it an unsigned announcement of a
// push.
func (s *Stage) strangers(ctx context.Context) error {
	push := fmt.Sprintf(`{"ref":"refs/heads/main","repository":{"html_url":%q,"default_branch":"main"}}`, s.status.GitURL)
	for _, request := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodGet, "/api/v1/applications", "", http.StatusUnauthorized},
		{http.MethodGet, "/api/v1/clusters", "", http.StatusUnauthorized},
		{http.MethodPost, "/api/webhook", push, http.StatusBadRequest},
	} {
		ask, err := http.NewRequestWithContext(ctx, request.method, "http://"+s.status.ArgoCD+request.path, strings.NewReader(request.body))
		if err != nil {
			return err
		}
		ask.Header.Set("Content-Type", "application/json")
		ask.Header.Set("X-GitHub-Event", "push")
		answer, err := http.DefaultClient.Do(ask)
		if err != nil {
			return err
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
		if answer.StatusCode != request.want {
			return fmt.Errorf("a stranger's %s %s gets %s instead of %d", request.method, request.path, answer.Status, request.want)
		}
	}
	return nil
}

// may runs `argocd admin settings rbac can`, which answers Yes, or answers No and fails.
func (s *Stage) may(ctx context.Context, subject, action, resource, object string) (bool, error) {
	command := exec.CommandContext(ctx, s.options.ArgoCD, "admin", "settings", "rbac", "can", subject, action, resource, object,
		"--namespace", naming.NamespaceArgoCD, "--kubeconfig", s.options.Kubeconfig)
	output, err := command.CombinedOutput()
	words := strings.Fields(string(output))
	switch {
	case err == nil && slices.Contains(words, "Yes"):
		return true, nil
	case slices.Contains(words, "No"):
		return false, nil
	default:
		return false, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, output)
	}
}

var (
	clusterSecretStores = schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "clustersecretstores"}
	externalSecrets     = schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"}
)

// foreignServiceAccount gives a service account of the application the annotation of the service
// account that may read the key vault, and has a store sign in with it.
func foreignServiceAccount(ctx context.Context, s *Stage) (evidence string, err error) {
	real, err := s.cluster.Core.CoreV1().ServiceAccounts(naming.NamespaceExternalSecrets).
		Get(ctx, naming.ServiceAccountExternalSecrets, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	store, err := s.cluster.Objects.Resource(clusterSecretStores).Get(ctx, naming.SecretStore, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	accounts := s.cluster.Core.CoreV1().ServiceAccounts(naming.NamespaceGridOS)
	stores := s.cluster.Objects.Resource(clusterSecretStores)
	wanted := s.cluster.Objects.Resource(externalSecrets).Namespace(naming.NamespaceGridOS)
	defer func() {
		back, cancel := soon(context.WithoutCancel(ctx))
		defer cancel()
		for _, remove := range []error{
			wanted.Delete(back, intruderName, metav1.DeleteOptions{}), stores.Delete(back, intruderName, metav1.DeleteOptions{}),
			accounts.Delete(back, intruderName, metav1.DeleteOptions{}),
		} {
			if !apierrors.IsNotFound(remove) {
				err = errors.Join(err, remove)
			}
		}
	}()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: intruderName, Annotations: real.Annotations}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	spec, _, err := unstructured.NestedMap(store.Object, "spec")
	if err != nil {
		return "", err
	}
	foreign := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": store.GetAPIVersion(), "kind": store.GetKind(), "metadata": map[string]any{"name": intruderName}, "spec": spec,
	}}
	reference := map[string]any{"name": intruderName, "namespace": naming.NamespaceGridOS}
	if err := unstructured.SetNestedMap(foreign.Object, reference, "spec", "provider", "azurekv", "serviceAccountRef"); err != nil {
		return "", err
	}
	if _, err := stores.Create(ctx, foreign, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	// It asks for the same secrets as the application's ExternalSecret.
	legitimate, err := wanted.Get(ctx, "gridos-secrets", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	data, _, err := unstructured.NestedSlice(legitimate.Object, "spec", "data")
	if err != nil {
		return "", err
	}
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": legitimate.GetAPIVersion(), "kind": legitimate.GetKind(), "metadata": map[string]any{"name": intruderName},
		"spec": map[string]any{"secretStoreRef": map[string]any{"kind": store.GetKind(), "name": intruderName}, "data": data},
	}}
	if _, err := wanted.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	refusal := ""
	err = eventually(ctx, "Entra ID refuses the token", func(ctx context.Context) (bool, error) {
		events, err := s.cluster.Core.CoreV1().Events(naming.NamespaceGridOS).List(ctx, metav1.ListOptions{
			FieldSelector: "involvedObject.kind=ExternalSecret,involvedObject.name=" + intruderName,
		})
		if err != nil {
			return false, err
		}
		for _, event := range events.Items {
			refusal = event.Message
			if strings.Contains(refusal, "AADSTS70021") && strings.Contains(refusal, naming.NamespaceGridOS+":"+intruderName) {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return "", fmt.Errorf("%w; the last event is: %s", err, refusal)
	}
	s.tell("refused", "%s", refusal)
	_, err = s.cluster.Core.CoreV1().Secrets(naming.NamespaceGridOS).Get(ctx, intruderName, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return "", errors.Join(err, errors.New("there is a Secret "+intruderName))
	}
	_, why, _ := strings.Cut(refusal, "err: ")
	why, _, _ = strings.Cut(why, " of identity ")
	return why, nil
}
