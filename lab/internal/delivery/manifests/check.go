package manifests

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/bootstrap/appproject"
	"github.com/gridos/sharedinfra/internal/naming"
)

// Check returns the mistakes in the objects of an overlay of the application, a Problem each,
// joined.
func Check(objects []Object) error {
	r := &report{}
	o := sorted(objects, r)
	o.checkObjects(r)
	for _, pods := range o.podTemplates() {
		o.checkPods(pods, r)
	}
	for _, owner := range o.rollouts {
		checkService(owner, r)
		o.checkCanary(owner, r)
	}
	o.checkSelectors(r)
	o.checkScaling(r)
	o.checkTraffic(r)
	o.checkTemplates(r)
	o.checkSecrets(r)
	return r.err()
}

// requiredLabels are on every object, so that people and tools find objects that belong together
// (kubernetes.io, "Recommended Labels").
var requiredLabels = []string{"app.kubernetes.io/name", "app.kubernetes.io/part-of"}

// secretName matches the name of a field or variable whose value should not be in Git.
var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|api[-_]?key|connection[-_]?string|private[-_]?key)$`)

func (o overlay) checkObjects(r *report) {
	allowed := appproject.GridOS(nil, appproject.Groups{}, nil).Spec.NamespaceResourceWhitelist
	seen := map[string]string{}
	for _, object := range o.all {
		key := object.GroupVersionKind().GroupKind().String() + " " + object.GetName()
		if other, double := seen[key]; double {
			r.add(object, "metadata.name", "is that of another %s, in %s", object.GetKind(), other)
		}
		seen[key] = object.File
		kind := appproject.GroupKind{Group: object.GroupVersionKind().Group, Kind: object.GetKind()}
		if !slices.Contains(allowed, kind) {
			r.add(object, "kind", "is not allowed by the AppProject %s, so that Argo CD would not sync it", naming.ProjectGridOS)
		}
		if object.GetNamespace() != naming.NamespaceGridOS {
			r.add(object, "metadata.namespace", "is %q and must be %s", object.GetNamespace(), naming.NamespaceGridOS)
		}
		for _, label := range requiredLabels {
			if object.GetLabels()[label] == "" {
				r.add(object, "metadata.labels", "lack %s", label)
			}
		}
	}
	for _, config := range o.configMaps {
		for _, key := range slices.Sorted(maps.Keys(config.is.Data)) {
			if secretName.MatchString(key) {
				r.add(config.Object, "data."+key, "looks like a secret; put it into the key vault, and into the ExternalSecret")
			}
		}
	}
}

// checkTraffic follows the requests from the gateway to the pods' Services.
func (o overlay) checkTraffic(r *report) {
	for _, gateway := range o.gateways {
		if gateway.is.Spec.Selector["istio"] != naming.IstioInternalIngress {
			r.add(gateway.Object, "spec.selector.istio", "is %q and must be %s, the gateway that the edge Service leads to",
				gateway.is.Spec.Selector["istio"], naming.IstioInternalIngress)
		}
	}
	for _, routes := range o.virtualServices {
		for _, name := range routes.is.Spec.Gateways {
			if _, ok := byName(o.gateways, name); !ok {
				r.add(routes.Object, "spec.gateways", "name the Gateway %q; %s", name, namesOf(o.gateways))
			}
		}
		for _, route := range routes.is.Spec.HTTP {
			if len(route.Route) == 0 {
				continue // the gateway itself answers it
			}
			field, sum := "spec.http["+route.Name+"]", 0
			for _, to := range route.Route {
				sum += to.Weight
				service, ok := byName(o.services, to.Destination.Host)
				if !ok {
					r.add(routes.Object, field+".route.destination.host", "is the Service %q; %s", to.Destination.Host, namesOf(o.services))
					continue
				}
				if !hasPort(service.is.Spec.Ports, to.Destination.Port.Number) {
					r.add(routes.Object, field+".route.destination.port.number", "is %d, which the Service %s does not have",
						to.Destination.Port.Number, service.GetName())
				}
			}
			if sum != 100 {
				r.add(routes.Object, field+".route.weight", "add up to %d and must to 100", sum)
			}
		}
	}
}

// checkScaling compares the autoscalers with the objects that they scale.
func (o overlay) checkScaling(r *report) {
	for _, scaler := range o.scalers {
		target := scaler.is.Spec.ScaleTargetRef
		owner, ok := byName(o.rollouts, target.Name)
		if !ok || target.Kind != rollout || target.APIVersion != owner.GetAPIVersion() {
			r.add(scaler.Object, "spec.scaleTargetRef", "is %s %s %q; of Rollouts %s", target.APIVersion, target.Kind, target.Name,
				namesOf(o.rollouts))
			continue
		}
		if owner.is.Spec.Replicas != nil {
			r.add(owner.Object, "spec.replicas", "is %d, and each release would scale to it; remove it: the autoscaler %s decides",
				*owner.is.Spec.Replicas, scaler.GetName())
		}
		least, most := scaler.is.Spec.MinReplicas, scaler.is.Spec.MaxReplicas
		switch {
		case least == nil:
			r.add(scaler.Object, "spec.minReplicas", "is missing, and would be 1")
		case *least > most:
			r.add(scaler.Object, "spec.maxReplicas", "is %d, less than minReplicas, %d", most, *least)
		}
	}
}

// checkSecrets checks that the ExternalSecrets ask for secrets that infra provides.
func (o overlay) checkSecrets(r *report) {
	names, err := naming.For(naming.Environments()[0], "") // the names are the same in every environment
	written := []string{names.DatabasePasswordSecret, names.DatabaseServicePasswordSecret, names.IngestTokenSecret}
	for _, secret := range o.externalSecrets {
		if err != nil {
			r.add(secret.Object, "spec.data", "cannot be compared with what infra writes: %v", err)
			continue
		}
		store := secret.is.Spec.SecretStoreRef
		if store.Kind != "ClusterSecretStore" || store.Name != naming.SecretStore {
			r.add(secret.Object, "spec.secretStoreRef", "is %s %q and must be ClusterSecretStore %s",
				store.Kind, store.Name, naming.SecretStore)
		}
		for _, data := range secret.is.Spec.Data {
			if !slices.Contains(written, data.RemoteRef.Key) {
				r.add(secret.Object, "spec.data["+data.SecretKey+"].remoteRef.key", "is %q; infra writes %s into the key vault",
					data.RemoteRef.Key, strings.Join(written, ", "))
			}
		}
	}
}
