package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podTemplate is the template of an object's pods.
type podTemplate struct {
	Object
	// field is the path of the template in the object.
	field string
	is    corev1.PodTemplateSpec
}

// podTemplates returns the templates of all objects that make pods.
func (o overlay) podTemplates() []podTemplate {
	var all []podTemplate
	for _, owner := range o.rollouts {
		all = append(all, podTemplate{owner.Object, template, owner.is.Spec.Template})
	}
	for _, owner := range o.cronJobs {
		all = append(all, podTemplate{owner.Object, "spec.jobTemplate." + template, owner.is.Spec.JobTemplate.Spec.Template})
	}
	return all
}

// checkPods checks the objects to which pods refer.
func (o overlay) checkPods(pods podTemplate, r *report) {
	for _, label := range requiredLabels {
		if pods.is.Labels[label] == "" {
			r.add(pods.Object, pods.field+".metadata.labels", "lack %s", label)
		}
	}
	podSpec, spec := pods.field+".spec", pods.is.Spec
	if _, ok := byName(o.serviceAccounts, spec.ServiceAccountName); !ok {
		r.add(pods.Object, podSpec+".serviceAccountName", "is %q; %s", spec.ServiceAccountName, namesOf(o.serviceAccounts))
	}
	volumes := map[string]bool{}
	for _, volume := range spec.Volumes {
		volumes[volume.Name] = true
		field := podSpec + ".volumes[" + volume.Name + "]"
		if volume.ConfigMap != nil {
			refuseConfigMap(pods.Object, field+".configMap.name", volume.ConfigMap.Name, r)
		}
		if from := volume.Secret; from != nil {
			o.checkSecret(pods.Object, field+".secret.secretName", from.SecretName, "", r)
			for i, item := range from.Items {
				o.checkSecret(pods.Object, fmt.Sprintf("%s.secret.items[%d].key", field, i), from.SecretName, item.Key, r)
			}
		}
	}
	for _, container := range spec.InitContainers {
		o.checkContainer(pods.Object, podSpec+".initContainers["+container.Name+"]", container, volumes, r)
	}
	for _, container := range spec.Containers {
		o.checkContainer(pods.Object, podSpec+".containers["+container.Name+"]", container, volumes, r)
	}
	for i, spread := range spec.TopologySpreadConstraints {
		if !selects(spread.LabelSelector, pods.is.Labels) {
			r.add(pods.Object, podSpec+".topologySpreadConstraints", "number %d does not select these pods", i)
		}
	}
}

// checkService checks the parts that only serving pods have: a selector that finds them, and
// probes.
func checkService(owner typed[rolloutFields], r *report) {
	pods := owner.is.Spec.Template
	if !selects(&owner.is.Spec.Selector, pods.Labels) {
		r.add(owner.Object, template+".metadata.labels", "do not match the Rollout's selector, %s",
			metav1.FormatLabelSelector(&owner.is.Spec.Selector))
	}
	for _, c := range pods.Spec.Containers {
		field := template + ".spec.containers[" + c.Name + "]"
		for _, one := range []struct {
			name  string
			probe *corev1.Probe
		}{{"startupProbe", c.StartupProbe}, {"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}} {
			switch probe := one.probe; {
			case probe == nil:
				r.add(owner.Object, field+"."+one.name, "is missing")
			case probe.HTTPGet != nil && !listens([]corev1.Container{c}, probe.HTTPGet.Port):
				r.add(owner.Object, field+"."+one.name+".httpGet.port", "is %s, on which the container does not listen",
					probe.HTTPGet.Port.String())
			}
		}
	}
}

func (o overlay) checkContainer(owner Object, field string, c corev1.Container, volumes map[string]bool, r *report) {
	if why := unpinned(c.Image); why != "" {
		r.add(owner, field+".image", "%q %s; set it in the overlay's kustomization.yaml", c.Image, why)
	}
	for _, variable := range c.Env {
		at := field + ".env[" + variable.Name + "]"
		if variable.Value != "" && secretName.MatchString(variable.Name) {
			r.add(owner, at, "looks like a secret; mount it from the Secret that the ExternalSecret makes")
		}
		if variable.ValueFrom == nil {
			continue
		}
		if ref := variable.ValueFrom.ConfigMapKeyRef; ref != nil {
			refuseConfigMap(owner, at+".valueFrom.configMapKeyRef", ref.Name, r)
		}
		if ref := variable.ValueFrom.SecretKeyRef; ref != nil {
			o.checkSecret(owner, at+".valueFrom.secretKeyRef", ref.Name, ref.Key, r)
		}
	}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			refuseConfigMap(owner, field+".envFrom.configMapRef", from.ConfigMapRef.Name, r)
		}
		if from.SecretRef != nil {
			o.checkSecret(owner, field+".envFrom.secretRef", from.SecretRef.Name, "", r)
		}
	}
	for _, mount := range c.VolumeMounts {
		if !volumes[mount.Name] {
			r.add(owner, field+".volumeMounts["+mount.Name+"]", "is no volume of the pod; there is %s",
				strings.Join(slices.Sorted(maps.Keys(volumes)), ", "))
		}
	}
}

// unpinned returns why an image may change later, or "".
func unpinned(image string) string {
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, tagged := strings.Cut(name, ":")
	switch {
	case strings.Contains(name, "@sha256:"):
		return ""
	case !tagged || tag == "":
		return "has no tag"
	case !strings.ContainsAny(tag, "0123456789"):
		return "has the tag " + tag + ", which moves"
	default:
		return ""
	}
}

// refuseConfigMap reports a ConfigMap that pods name. A commit that replaces it deletes it, and one
// that edits it changes it, while the pods of the earlier version still need the old content.
func refuseConfigMap(owner Object, field, name string, r *report) {
	r.add(owner, field, "is the ConfigMap %q, which a commit takes from the version before while its pods need it; "+
		"write the values into the template", name)
}

// checkSecret looks for the ExternalSecret that makes the Secret.
func (o overlay) checkSecret(owner Object, field, name, key string, r *report) {
	i := slices.IndexFunc(o.externalSecrets, func(e typed[externalSecretFields]) bool {
		return e.is.Spec.Target.Name == name || (e.is.Spec.Target.Name == "" && e.GetName() == name)
	})
	if i < 0 {
		r.add(owner, field, "is the Secret %q, which no ExternalSecret makes; of those %s", name, namesOf(o.externalSecrets))
		return
	}
	secret := o.externalSecrets[i]
	for _, data := range secret.is.Spec.Data {
		if key == "" || data.SecretKey == key {
			return
		}
	}
	r.add(owner, field, "is the key %q, which the ExternalSecret %s, in %s, does not bring", key, secret.GetName(), secret.File)
}

// checkSelectors checks that each selector finds the right pods.
func (o overlay) checkSelectors(r *report) {
	pods := func(selector labels.Selector) (found []corev1.Container, any bool) {
		for _, owner := range o.rollouts {
			if selector.Matches(labels.Set(owner.is.Spec.Template.Labels)) {
				found, any = append(found, owner.is.Spec.Template.Spec.Containers...), true
			}
		}
		return found, any
	}
	// Pods of scheduled jobs serve no requests, so no Service, budget or Rollout may count them.
	apart := func(object Object, field string, selector labels.Selector) {
		for _, job := range o.cronJobs {
			if selector.Matches(labels.Set(job.is.Spec.JobTemplate.Spec.Template.Labels)) {
				r.add(object, field, "also selects the pods of the CronJob %s, which serve no request; it is %s", job.GetName(), selector)
			}
		}
	}
	for _, service := range o.services {
		containers, any := pods(labels.SelectorFromSet(service.is.Spec.Selector))
		apart(service.Object, "spec.selector", labels.SelectorFromSet(service.is.Spec.Selector))
		if !any {
			r.add(service.Object, "spec.selector", "selects no pods of the Rollout; it is %s",
				labels.FormatLabels(service.is.Spec.Selector))
			continue
		}
		for _, port := range service.is.Spec.Ports {
			if !listens(containers, port.TargetPort) {
				r.add(service.Object, "spec.ports["+port.Name+"].targetPort", "is %s, on which no container listens",
					port.TargetPort.String())
			}
		}
	}
	for _, budget := range o.budgets {
		selector, err := metav1.LabelSelectorAsSelector(budget.is.Spec.Selector)
		if err != nil {
			r.add(budget.Object, "spec.selector", "%v", err)
		} else if _, any := pods(selector); !any {
			r.add(budget.Object, "spec.selector", "selects no pods of the Rollout; it is %s", selector)
		}
		if err == nil {
			apart(budget.Object, "spec.selector", selector)
		}
		if budget.is.Spec.MaxUnavailable == nil || budget.is.Spec.MaxUnavailable.IntValue() == 0 {
			r.add(budget.Object, "spec.maxUnavailable", "must allow for at least one pod, or no node could be drained")
		}
	}
	for _, policy := range o.networkPolicies {
		selector, err := metav1.LabelSelectorAsSelector(&policy.is.Spec.PodSelector)
		if err != nil {
			r.add(policy.Object, "spec.podSelector", "%v", err)
			continue
		}
		containers, any := pods(selector)
		if !slices.ContainsFunc(o.podTemplates(), func(p podTemplate) bool { return selector.Matches(labels.Set(p.is.Labels)) }) {
			r.add(policy.Object, "spec.podSelector", "selects no pods of the Rollout or of a CronJob; it is %s", selector)
		}
		for _, rule := range policy.is.Spec.Ingress {
			for _, port := range rule.Ports {
				if port.Port != nil && any && !listens(containers, *port.Port) {
					r.add(policy.Object, "spec.ingress.ports", "name %s, on which no container listens", port.Port.String())
				}
			}
		}
	}
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(set))
}

func hasPort(ports []corev1.ServicePort, number int32) bool {
	return slices.ContainsFunc(ports, func(p corev1.ServicePort) bool { return p.Port == number })
}

// listens reports whether one of the containers declares the port, by name or number.
func listens(containers []corev1.Container, port intstr.IntOrString) bool {
	return slices.ContainsFunc(containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
			return (port.Type == intstr.String && p.Name == port.StrVal) || (port.Type == intstr.Int && p.ContainerPort == port.IntVal)
		})
	})
}
