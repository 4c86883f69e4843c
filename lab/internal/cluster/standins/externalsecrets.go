// Package standins does the work of some controllers whose programs do not run in the lab's
// cluster: only the part that other programs see in the objects.
package standins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/gridos/sharedinfra/lab/internal/host/kube"
)

var (
	externalSecretKind  = schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"}
	clusterSecretStores = schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "clustersecretstores"}
)

// These are written by External Secrets 0.20; see its apis/externalsecrets/v1 and
// pkg/controllers/externalsecret.
const (
	managedLabel   = "reconcile.external-secrets.io/managed"
	ownerLabel     = "reconcile.external-secrets.io/created-by"
	hashAnnotation = "reconcile.external-secrets.io/data-hash"

	reasonSynced, messageSynced = "SecretSynced", "secret synced"
	reasonFailed, messageFailed = "SecretSyncedError", "could not get secret data from provider"
	eventFailed                 = "UpdateFailed"
)

// exchangeAudience is the audience of the tokens that Entra ID exchanges:
// azure.github.io/azure-workload-identity, "Introduction".
const exchangeAudience = "api://AzureADTokenExchange"

// SecretRequest asks a key vault for a secret, as External Secrets does with the authentication
// WorkloadIdentity.
type SecretRequest struct {
	// VaultURL is the URL of the store's vault, such as https://dev-gridos-kv.vault.azure.net, and
	// Name is the secret's name.
	VaultURL, Name string
	// ClientID is the client id in the annotation of the store's service account.
	ClientID string
	// Token is a token of that service account, for Entra ID to exchange: a JWT.
	Token string
}

// SecretReader answers requests; the owner of an ExternalSecret sees its error.
type SecretReader func(ctx context.Context, request SecretRequest) (value string, err error)

// ExternalSecrets does the work of External Secrets until ctx is done: each ExternalSecret gets its
// Secret, with the values that find returns for the names in the key vault, and a condition Ready.
// It is strict: an ExternalSecret that asks for more than it can do, such as a template, fails with
// an event that says so. The same happens if the ClusterSecretStore is missing or closed to the
// namespace. It counts what it does in metrics.
func ExternalSecrets(ctx context.Context, cluster *kube.Clients, find SecretReader, metrics prometheus.Registerer) error {
	// If the kind does not exist, an informer would wait for ever.
	_, err := cluster.Objects.Resource(externalSecretKind).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("external secrets: list ExternalSecrets, whose definition comes with the release external-secrets: %w", err)
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(cluster.Objects, 0)
	watched := factory.ForResource(externalSecretKind)
	// The delay is at most ten seconds, so that a late secret is found soon.
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](100*time.Millisecond, 10*time.Second)
	s := &secrets{
		cluster: cluster, find: find, wanted: watched.Lister(), queue: workqueue.NewTypedRateLimitingQueue(limiter),
		told: map[types.UID]string{},
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: callsMetric, Help: "Times that an ExternalSecret was looked at.",
		}, []string{"name", "namespace"}),
		conditions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: conditionMetric, Help: "The condition of an ExternalSecret.",
		}, []string{"name", "namespace", "condition", "status"}),
	}
	metrics.MustRegister(s.calls, s.conditions)
	if err := s.watch(ctx, watched.Informer()); err != nil {
		return err
	}
	managed := informers.NewSharedInformerFactoryWithOptions(cluster.Core, 0, informers.WithTweakListOptions(
		func(options *metav1.ListOptions) { options.LabelSelector = managedLabel + "=true" }))
	if err := s.watchOwned(managed.Core().V1().Secrets().Informer()); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	managed.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	managed.WaitForCacheSync(ctx.Done())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.next(ctx) {
		}
	}()
	<-ctx.Done()
	s.queue.ShutDown()
	<-done
	factory.Shutdown()
	managed.Shutdown()
	return nil
}

type secrets struct {
	cluster *kube.Clients
	find    SecretReader
	wanted  cache.GenericLister
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
	// told has the last event about each refused ExternalSecret.
	told map[types.UID]string
	// calls and conditions are metrics.
	calls      *prometheus.CounterVec
	conditions *prometheus.GaugeVec
}

// The metrics and their labels are those of External Secrets 0.20, pkg/controllers/externalsecret/
// esmetrics/esmetrics.go.
const (
	callsMetric     = "externalsecret_sync_calls_total"
	conditionMetric = "externalsecret_status_condition"
)

func (s *secrets) watch(ctx context.Context, informer cache.SharedIndexInformer) error {
	enqueue := func(object any) {
		if name, err := cache.ObjectToName(object); err != nil {
			utilruntime.HandleErrorWithContext(ctx, err, "external secrets: an object without a name")
		} else {
			s.queue.Add(name)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, now any) { enqueue(now) },
	})
	return err
}

// watchOwned queues the owner of a Secret that was changed or deleted.
func (s *secrets) watchOwned(informer cache.SharedIndexInformer) error {
	enqueue := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if secret, ok := object.(*corev1.Secret); ok {
			if owner := metav1.GetControllerOf(secret); owner != nil && owner.Kind == "ExternalSecret" {
				s.queue.Add(cache.NewObjectName(secret.Namespace, owner.Name))
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, now any) { enqueue(now) }, DeleteFunc: enqueue,
	})
	return err
}

// next works on one ExternalSecret, and returns false after the last one.
func (s *secrets) next(ctx context.Context) bool {
	name, shutdown := s.queue.Get()
	if shutdown {
		return false
	}
	defer s.queue.Done(name)
	defer s.calls.WithLabelValues(name.Name, name.Namespace).Inc()
	again, err := s.reconcile(ctx, name)
	var refused *refusal
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &refused): // its condition and an event report it
		s.queue.AddRateLimited(name)
	case apierrors.IsConflict(err), apierrors.IsNotFound(err): // it was changed, or deleted
		s.queue.AddRateLimited(name)
	case err != nil:
		utilruntime.HandleErrorWithContext(ctx, err, "external secrets: trying again", "externalSecret", name)
		s.queue.AddRateLimited(name)
	default:
		s.queue.Forget(name)
		if again > 0 {
			s.queue.AddAfter(name, again)
		}
	}
	return true
}

// refusal is the reason why an ExternalSecret cannot have its Secret, in words for its owner.
type refusal struct{ error }

func refuse(format string, args ...any) error { return &refusal{fmt.Errorf(format, args...)} }

// externalSecretSpec has all the fields that are supported. Other fields are refused.
type externalSecretSpec struct {
	SecretStoreRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"secretStoreRef"`
	RefreshInterval metav1.Duration `json:"refreshInterval"`
	Target          struct {
		Name           string `json:"name"`
		CreationPolicy string `json:"creationPolicy"`
		DeletionPolicy string `json:"deletionPolicy"`
	} `json:"target"`
	Data []struct {
		SecretKey string `json:"secretKey"`
		RemoteRef struct {
			Key                string `json:"key"`
			ConversionStrategy string `json:"conversionStrategy"`
			DecodingStrategy   string `json:"decodingStrategy"`
			MetadataPolicy     string `json:"metadataPolicy"`
		} `json:"remoteRef"`
	} `json:"data"`
}

// reconcile returns the time after which the ExternalSecret is due again, if nothing happens to it.
func (s *secrets) reconcile(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	found, err := s.wanted.ByNamespace(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		s.conditions.DeletePartialMatch(prometheus.Labels{"name": name.Name, "namespace": name.Namespace})
		return 0, nil // the garbage collector deletes its Secret
	}
	if err != nil {
		return 0, err
	}
	original, ok := found.(*unstructured.Unstructured)
	if !ok {
		return 0, fmt.Errorf("%s is a %T", name, found)
	}
	if original.GetDeletionTimestamp() != nil {
		return 0, nil
	}
	wanted := original.DeepCopy()
	interval, written, err := s.sync(ctx, wanted)
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		return 0, err
	}
	if err == nil && !written {
		return interval, nil
	}
	if statusErr := s.report(ctx, wanted, refused); statusErr != nil {
		return 0, statusErr
	}
	return interval, err
}

// sync writes the Secret if it is due: after a change of either object, and after the interval. It
// returns the time after which it is due again.
func (s *secrets) sync(ctx context.Context, wanted *unstructured.Unstructured) (again time.Duration, written bool, err error) {
	spec, err := specOf(wanted)
	if err != nil {
		return 0, false, err
	}
	name := spec.Target.Name
	secrets := s.cluster.Core.CoreV1().Secrets(wanted.GetNamespace())
	present, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, false, err
	}
	if owner := metav1.GetControllerOf(present); owner != nil && owner.Kind == wanted.GetKind() && owner.Name != wanted.GetName() {
		return 0, false, refuse("the Secret %s belongs to the ExternalSecret %s", name, owner.Name)
	}
	valid := present.Labels[managedLabel] == "true" && present.Annotations[hashAnnotation] == hash(present.Data)
	if left, due := untilDue(wanted, spec.RefreshInterval.Duration); valid && !due {
		return left, false, nil
	}
	store, err := s.storeOf(ctx, spec, wanted.GetNamespace())
	if err != nil {
		return 0, false, err
	}
	request, err := s.signIn(ctx, store)
	if err != nil {
		return 0, false, err
	}
	data := map[string][]byte{}
	for i, entry := range spec.Data {
		request.Name = strings.TrimPrefix(entry.RemoteRef.Key, "secret/") // the provider for Azure allows this prefix
		value, err := s.find(ctx, request)
		if err != nil {
			return 0, false, refuse("error processing spec.data[%d] (key: %s), err: %w", i, entry.RemoteRef.Key, err)
		}
		data[entry.SecretKey] = []byte(value)
	}
	whole := maps.Clone(present.Data) // it may have keys of other owners
	if whole == nil {
		whole = map[string][]byte{}
	}
	maps.Copy(whole, data)
	labels, annotations := maps.Clone(wanted.GetLabels()), maps.Clone(wanted.GetAnnotations())
	_, err = secrets.Apply(ctx, applycorev1.Secret(name, wanted.GetNamespace()).
		WithLabels(labels).WithLabels(map[string]string{
		managedLabel: "true", ownerLabel: hash(wanted.GetNamespace() + "/" + wanted.GetName()),
	}).
		WithAnnotations(annotations).WithAnnotations(map[string]string{hashAnnotation: hash(whole)}).
		WithOwnerReferences(applymetav1.OwnerReference().
			WithAPIVersion(wanted.GetAPIVersion()).WithKind(wanted.GetKind()).WithName(wanted.GetName()).WithUID(wanted.GetUID()).
			WithController(true).WithBlockOwnerDeletion(true)).
		WithType(corev1.SecretTypeOpaque).WithData(data),
		metav1.ApplyOptions{FieldManager: "externalsecrets.external-secrets.io/" + wanted.GetName(), Force: true})
	if err != nil {
		return 0, false, fmt.Errorf("write the Secret %s/%s: %w", wanted.GetNamespace(), name, err)
	}
	return spec.RefreshInterval.Duration, true, nil
}

func specOf(wanted *unstructured.Unstructured) (*externalSecretSpec, error) {
	text, err := json.Marshal(wanted.Object["spec"])
	if err != nil {
		return nil, err
	}
	spec := &externalSecretSpec{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(spec); err != nil {
		return nil, refuse("the lab's stand-in for External Secrets does not do this: %w", err)
	}
	if spec.Target.CreationPolicy != "Owner" {
		return nil, refuse("the lab's stand-in for External Secrets knows no creationPolicy but Owner, not %s", spec.Target.CreationPolicy)
	}
	if spec.Target.Name == "" {
		spec.Target.Name = wanted.GetName()
	}
	for _, entry := range spec.Data {
		if entry.RemoteRef.DecodingStrategy != "None" || entry.RemoteRef.MetadataPolicy != "None" {
			return nil, refuse("the lab's stand-in for External Secrets decodes nothing and fetches no metadata, as %s asks for",
				entry.SecretKey)
		}
	}
	return spec, nil
}

// clusterSecretStoreSpec has the fields that are used here.
type clusterSecretStoreSpec struct {
	Provider struct {
		AzureKeyVault struct {
			AuthType          string `json:"authType"`
			VaultURL          string `json:"vaultUrl"`
			ServiceAccountRef struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"serviceAccountRef"`
		} `json:"azurekv"`
	} `json:"provider"`
	Conditions []struct {
		Namespaces []string `json:"namespaces"`
	} `json:"conditions"`
}

// storeOf returns the store in the spec of an ExternalSecret, if its namespace may use it.
func (s *secrets) storeOf(ctx context.Context, spec *externalSecretSpec, namespace string) (*clusterSecretStoreSpec, error) {
	ref := spec.SecretStoreRef
	if ref.Kind != "ClusterSecretStore" {
		return nil, refuse("the lab's stand-in for External Secrets knows no store but a ClusterSecretStore, not a %s", ref.Kind)
	}
	store, err := s.cluster.Objects.Resource(clusterSecretStores).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, refuse("could not get ClusterSecretStore %q: %w", ref.Name, err)
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(store.Object["spec"])
	if err != nil {
		return nil, err
	}
	var known clusterSecretStoreSpec
	if err := json.Unmarshal(text, &known); err != nil {
		return nil, refuse("ClusterSecretStore %q: %w", ref.Name, err)
	}
	allowed := len(known.Conditions) == 0
	for _, condition := range known.Conditions {
		allowed = allowed || slices.Contains(condition.Namespaces, namespace)
	}
	if !allowed {
		return nil, refuse("using cluster store %q is not allowed from namespace %q: denied by spec.condition", ref.Name, namespace)
	}
	return &known, nil
}

// signIn gets a token of the store's service account from the API server, as External Secrets does.
func (s *secrets) signIn(ctx context.Context, store *clusterSecretStoreSpec) (SecretRequest, error) {
	vault := store.Provider.AzureKeyVault
	if vault.AuthType != "WorkloadIdentity" {
		return SecretRequest{}, refuse("the lab's stand-in for External Secrets signs in with WorkloadIdentity, not %q", vault.AuthType)
	}
	ref := vault.ServiceAccountRef
	accounts := s.cluster.Core.CoreV1().ServiceAccounts(ref.Namespace)
	account, err := accounts.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return SecretRequest{}, refuse("cannot use the service account of the store: %w", err)
	}
	if err != nil {
		return SecretRequest{}, err
	}
	token, err := accounts.CreateToken(ctx, ref.Name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{exchangeAudience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return SecretRequest{}, fmt.Errorf("get a token of the service account %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return SecretRequest{
		VaultURL: vault.VaultURL, ClientID: account.Annotations["azure.workload.identity/client-id"], Token: token.Status.Token,
	}, nil
}

// untilDue returns the time until the values must be fetched again, and true if it has come.
func untilDue(wanted *unstructured.Unstructured, interval time.Duration) (time.Duration, bool) {
	version, _, _ := unstructured.NestedString(wanted.Object, "status", "syncedResourceVersion") // a missing one is due
	if version != resourceVersion(wanted) {
		return 0, true
	}
	if interval <= 0 {
		return 0, false
	}
	text, _, _ := unstructured.NestedString(wanted.Object, "status", "refreshTime") // a missing one is due
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, true
	}
	left := time.Until(at.Add(interval))
	return left, left <= 0
}

// report writes the status: that the Secret is up to date, or the reason why it is not.
func (s *secrets) report(ctx context.Context, wanted *unstructured.Unstructured, refused *refusal) error {
	now := metav1.Now().UTC().Format(time.RFC3339)
	condition := map[string]any{
		"type": "Ready", "status": "True", "reason": reasonSynced, "message": messageSynced, "lastTransitionTime": now,
	}
	if refused != nil {
		condition["status"], condition["reason"], condition["message"] = "False", reasonFailed, messageFailed
	}
	for _, status := range []string{"True", "False"} {
		set := 0.
		if status == condition["status"] {
			set = 1
		}
		s.conditions.WithLabelValues(wanted.GetName(), wanted.GetNamespace(), "Ready", status).Set(set)
	}
	status, _, err := unstructured.NestedMap(wanted.Object, "status")
	if err != nil {
		return err
	}
	if status == nil {
		status = map[string]any{}
	}
	changed := true
	if conditions, ok := status["conditions"].([]any); ok && len(conditions) == 1 {
		if before, ok := conditions[0].(map[string]any); ok && before["status"] == condition["status"] {
			condition["lastTransitionTime"] = before["lastTransitionTime"]
			changed = before["reason"] != condition["reason"] || before["message"] != condition["message"]
		}
	}
	if refused != nil {
		if err := s.tell(ctx, wanted, refused); err != nil || !changed {
			return err
		}
	} else {
		delete(s.told, wanted.GetUID())
		status["refreshTime"], status["syncedResourceVersion"] = now, resourceVersion(wanted)
	}
	status["conditions"] = []any{condition}
	wanted.Object["status"] = status
	_, err = s.cluster.Objects.Resource(externalSecretKind).Namespace(wanted.GetNamespace()).
		UpdateStatus(ctx, wanted, metav1.UpdateOptions{})
	return err
}

// tell writes the reason into an event, once. The condition does not have the reason, like the real
// one.
func (s *secrets) tell(ctx context.Context, wanted *unstructured.Unstructured, refused *refusal) error {
	if s.told[wanted.GetUID()] == refused.Error() {
		return nil
	}
	now := metav1.Now()
	_, err := s.cluster.Core.CoreV1().Events(wanted.GetNamespace()).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: wanted.GetName() + ".", Namespace: wanted.GetNamespace()},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: wanted.GetAPIVersion(), Kind: wanted.GetKind(), Namespace: wanted.GetNamespace(), Name: wanted.GetName(),
			UID: wanted.GetUID(), ResourceVersion: wanted.GetResourceVersion(),
		},
		Type: corev1.EventTypeWarning, Reason: eventFailed, Message: refused.Error(), Count: 1,
		FirstTimestamp: now, LastTimestamp: now, Source: corev1.EventSource{Component: "external-secrets"},
	}, metav1.CreateOptions{})
	if err == nil {
		s.told[wanted.GetUID()] = refused.Error()
	}
	return err
}

// resourceVersion changes with every field of an object that its Secret depends on.
func resourceVersion(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%d-%s", object.GetGeneration(), hash([]map[string]string{object.GetAnnotations(), object.GetLabels()}))
}

// hash returns a valid value for a label. Package fmt prints maps in the order of their keys.
func hash(of any) string {
	sum := sha256.Sum224(fmt.Appendf(nil, "%v", of))
	return hex.EncodeToString(sum[:])
}
