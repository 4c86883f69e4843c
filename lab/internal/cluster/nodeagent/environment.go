package nodeagent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// values reads the ConfigMaps and Secrets of a pod's namespace, each once.
type values struct {
	agent     *Agent
	namespace string
	read      map[string]map[string][]byte
}

func (p *pod) values() *values {
	return &values{agent: p.agent, namespace: p.name.Namespace, read: map[string]map[string][]byte{}}
}

// configMap returns nil if an optional one is not there. The errors of both are the kubelet's.
func (v *values) configMap(ctx context.Context, name string, optional *bool) (map[string][]byte, error) {
	return v.once("configmap", name, optional, func() (map[string][]byte, error) {
		found, err := v.agent.client.CoreV1().ConfigMaps(v.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		data := map[string][]byte{}
		for key, value := range found.Data {
			data[key] = []byte(value)
		}
		maps.Copy(data, found.BinaryData)
		return data, nil
	})
}

func (v *values) secret(ctx context.Context, name string, optional *bool) (map[string][]byte, error) {
	return v.once("secret", name, optional, func() (map[string][]byte, error) {
		found, err := v.agent.client.CoreV1().Secrets(v.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return found.Data, nil
	})
}

func (v *values) once(kind, name string, optional *bool, get func() (map[string][]byte, error)) (map[string][]byte, error) {
	if data, read := v.read[kind+"/"+name]; read {
		return data, nil
	}
	data, err := get()
	switch {
	case apierrors.IsNotFound(err) && optional != nil && *optional:
		data = nil
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%s %q not found", kind, name)
	case err != nil:
		return nil, err
	}
	v.read[kind+"/"+name] = data
	return data, nil
}

// environment returns the variables of a container, in the order in which a kubelet sets them: of
// the image, of envFrom, of env. It leaves out those of Services: no pod of the lab reads them.
func (p *pod) environment(ctx context.Context, spec *corev1.Container, of image) ([]string, error) {
	result := map[string]string{
		"PATH":     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", // containerd's default
		"HOSTNAME": p.name.Name, "HOME": "/",
	}
	for _, variable := range of.config.Env {
		name, value, _ := strings.Cut(variable, "=")
		result[name] = value
	}
	read := p.values()
	for _, from := range spec.EnvFrom {
		var data map[string][]byte
		var err error
		switch {
		case from.ConfigMapRef != nil:
			data, err = read.configMap(ctx, from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		case from.SecretRef != nil:
			data, err = read.secret(ctx, from.SecretRef.Name, from.SecretRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for key, value := range data {
			result[from.Prefix+key] = string(value)
		}
	}
	for _, variable := range spec.Env {
		if variable.ValueFrom == nil {
			result[variable.Name] = expand(variable.Value, result)
			continue
		}
		value, set, err := p.valueFrom(ctx, read, spec, variable.ValueFrom)
		if err != nil {
			return nil, err
		}
		if set {
			result[variable.Name] = value
		}
	}
	all := make([]string, 0, len(result))
	for _, name := range slices.Sorted(maps.Keys(result)) {
		all = append(all, name+"="+result[name])
	}
	return all, nil
}

func (p *pod) valueFrom(
	ctx context.Context, read *values, spec *corev1.Container, from *corev1.EnvVarSource,
) (value string, set bool, err error) {
	pick := func(kind string, data map[string][]byte, name, key string, optional *bool) (string, bool, error) {
		content, found := data[key]
		if !found && (optional == nil || !*optional) {
			return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, kind, p.name.Namespace, name)
		}
		return string(content), found, nil
	}
	switch {
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := read.configMap(ctx, ref.Name, ref.Optional)
		if err != nil {
			return "", false, err
		}
		return pick("ConfigMap", data, ref.Name, ref.Key, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := read.secret(ctx, ref.Name, ref.Optional)
		if err != nil {
			return "", false, err
		}
		return pick("Secret", data, ref.Name, ref.Key, ref.Optional)
	case from.FieldRef != nil:
		value, err = p.field(from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err = p.resource(spec, from.ResourceFieldRef)
		return value, err == nil, err
	default:
		return "", false, fmt.Errorf("the lab's node agent does not know the source of a variable %v", from)
	}
}

// field returns a field of the pod, of those that the downward API has.
func (p *pod) field(path string) (string, error) {
	of := p.seen()
	if kind, key, subscripted := strings.Cut(path, "['"); subscripted {
		key = strings.TrimSuffix(key, "']")
		switch kind {
		case "metadata.labels":
			return of.Labels[key], nil
		case "metadata.annotations":
			return of.Annotations[key], nil
		}
	}
	fields := map[string]string{
		"metadata.name": of.Name, "metadata.namespace": of.Namespace, "metadata.uid": string(of.UID),
		"metadata.labels": formatMap(of.Labels), "metadata.annotations": formatMap(of.Annotations),
		"spec.nodeName": of.Spec.NodeName, "spec.serviceAccountName": of.Spec.ServiceAccountName,
		"status.podIP": p.address.String(), "status.podIPs": p.address.String(),
		"status.hostIP": nodeAddress, "status.hostIPs": nodeAddress,
	}
	value, known := fields[path]
	if !known {
		return "", fmt.Errorf("unsupported fieldPath: %s", path)
	}
	return value, nil
}

// formatMap is the downward API's form of labels and annotations: a line each.
func formatMap(all map[string]string) string {
	lines := make([]string, 0, len(all))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, key+"="+strconv.Quote(all[key]))
	}
	return strings.Join(lines, "\n")
}

// resource returns a request or a limit of a container, in units of the divisor, rounded up. What
// is not limited has the node's size for a limit; the lab knows none and says so.
func (p *pod) resource(spec *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" && ref.ContainerName != spec.Name {
		for _, c := range slices.Concat(p.spec.InitContainers, p.spec.Containers) {
			if c.Name == ref.ContainerName {
				spec = &c
			}
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	of := map[string]corev1.ResourceList{"limits": spec.Resources.Limits, "requests": spec.Resources.Requests}[kind]
	quantity, set := of[corev1.ResourceName(name)]
	if !set {
		return "", fmt.Errorf("container %s has no %s; set it", spec.Name, ref.Resource)
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = *resource.NewQuantity(1, resource.DecimalSI)
	}
	units := math.Ceil(quantity.AsApproximateFloat64() / divisor.AsApproximateFloat64())
	return strconv.FormatInt(int64(units), 10), nil
}

// expand replaces $(NAME) by the variable's value, leaves unknown ones, and makes $$ a $, as
// Kubernetes does in arguments and values (kubernetes.io, "Define Dependent Environment
// Variables").
func expand(text string, of map[string]string) string {
	var result strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at == len(text)-1 {
			return result.String() + text
		}
		result.WriteString(text[:at])
		rest := text[at+1:]
		end := strings.IndexByte(rest, ')')
		switch {
		case rest[0] == '$':
			result.WriteByte('$')
			text = rest[1:]
		case rest[0] == '(' && end > 0:
			value, known := of[rest[1:end]]
			if !known {
				value = "$" + rest[:end+1]
			}
			result.WriteString(value)
			text = rest[end+1:]
		default:
			result.WriteByte('$')
			text = rest
		}
	}
}

// command returns the program of a container and its arguments: what the manifest says replaces
// what the image says.
func command(spec *corev1.Container, of image, environment []string) []string {
	known := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		known[name] = value
	}
	entrypoint, arguments := of.config.Entrypoint, of.config.Cmd
	if len(spec.Command) > 0 {
		entrypoint, arguments = spec.Command, nil
	}
	if len(spec.Args) > 0 {
		arguments = spec.Args
	}
	all := slices.Concat(entrypoint, arguments)
	for i := range all {
		all[i] = expand(all[i], known)
	}
	return all
}

// userOf returns the ids with which a container runs.
func (p *pod) userOf(spec *corev1.Container, of image) (user, group int64, err error) {
	imageUser, imageGroup, _ := strings.Cut(of.config.User, ":")
	user, err = strconv.ParseInt(cmp.Or(imageUser, "0"), 10, 64)
	named := err != nil
	group, err = strconv.ParseInt(cmp.Or(imageGroup, "0"), 10, 64)
	if err != nil {
		group = 0
	}
	nonRoot := false
	set := func(u, g *int64, demand *bool) {
		if u != nil {
			user, named = *u, false
		}
		if g != nil {
			group = *g
		}
		if demand != nil {
			nonRoot = *demand
		}
	}
	if c := p.spec.SecurityContext; c != nil {
		set(c.RunAsUser, c.RunAsGroup, c.RunAsNonRoot)
	}
	if c := spec.SecurityContext; c != nil {
		set(c.RunAsUser, c.RunAsGroup, c.RunAsNonRoot)
	}
	switch {
	case named && nonRoot:
		return 0, 0, fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root", imageUser)
	case named:
		return 0, 0, fmt.Errorf("the image has the user %s; the lab knows numbers only, set runAsUser", imageUser)
	case nonRoot && user == 0:
		return 0, 0, fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", p.name, spec.Name)
	}
	return user, group, nil
}
