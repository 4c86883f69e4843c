// Package cloudcontroller does for the lab's cluster the part of Azure's cloud controller manager
// that a deployment waits for: it gives each Service that asks for a load balancer its address.
package cloudcontroller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// addressAnnotation has the IPv4 address that a Service asks for. Source:
// cloud-provider-azure.sigs.k8s.io, "Azure LoadBalancer".
const addressAnnotation = "service.beta.kubernetes.io/azure-load-balancer-ipv4"

// Run gives every Service of type LoadBalancer the address of its annotation, until ctx is done. A
// Service without an address stays pending: Azure would take one from a subnet, and the lab has no
// packets that could go there.
func Run(ctx context.Context, client kubernetes.Interface) error {
	c := &controller{
		client: client,
		queue:  workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	enqueue := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err != nil {
			utilruntime.HandleErrorWithContext(ctx, err, "cloud controller: a Service without a name")
		} else {
			c.queue.Add(key)
		}
	}
	var watch cache.Controller
	c.services, watch = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(
			client.CoreV1().RESTClient(), "services", metav1.NamespaceAll, fields.Everything()),
		ObjectType: &corev1.Service{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    enqueue,
			UpdateFunc: func(_, now any) { enqueue(now) },
		},
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c.next(ctx) {
		}
	}()
	watch.RunWithContext(ctx)
	c.queue.ShutDown()
	<-done
	return nil
}

type controller struct {
	client   kubernetes.Interface
	services cache.Store
	queue    workqueue.TypedRateLimitingInterface[string]
}

// next works on one Service, and returns false after the last one.
func (c *controller) next(ctx context.Context) bool {
	key, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(key)
	if err := c.balance(ctx, key); err != nil && ctx.Err() == nil {
		utilruntime.HandleErrorWithContext(ctx, err, "cloud controller: trying again")
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

func (c *controller) balance(ctx context.Context, key string) error {
	object, exists, err := c.services.GetByKey(key)
	if err != nil || !exists {
		return err
	}
	service, ok := object.(*corev1.Service)
	if !ok {
		return fmt.Errorf("%s is a %T and no Service", key, object)
	}
	address := service.Annotations[addressAnnotation]
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil || address == "" {
		return nil
	}
	if at := service.Status.LoadBalancer.Ingress; len(at) == 1 && at[0].IP == address {
		return nil
	}
	service = service.DeepCopy()
	service.Status.LoadBalancer = corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: address}}}
	_, err = c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil // it has been deleted
	}
	if err != nil {
		return fmt.Errorf("Service %s: set the address %s of its load balancer: %w", key, address, err)
	}
	return nil
}
