package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
)

// smokeTest runs the Job of the smoke test, whose pod asks the service through the mesh's gateway.
// Then it gives the CronJob the status that a failed run leaves, because a run fails only after it
// has asked again for a minute.
func smokeTest(ctx context.Context, s *Stage) (_ string, err error) {
	const name = "gridos-smoke"
	crons, jobs := s.cluster.Core.BatchV1().CronJobs(naming.NamespaceGridOS), s.cluster.Core.BatchV1().Jobs(naming.NamespaceGridOS)
	cron, err := crons.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	// This is what kubectl create job --from does.
	job, err := jobs.Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName:    name + "-",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: cron.Spec.JobTemplate.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	background := metav1.DeletePropagationBackground
	defer func() {
		gone := jobs.Delete(context.WithoutCancel(ctx), job.Name, metav1.DeleteOptions{PropagationPolicy: &background})
		if !apierrors.IsNotFound(gone) { // the limit on finished Jobs deletes it after a scheduled run
			err = errors.Join(err, gone)
		}
	}()
	var succeeded time.Time
	err = eventually(ctx, "the run "+job.Name+" has succeeded", func(ctx context.Context) (bool, error) {
		now, err := crons.Get(ctx, name, metav1.GetOptions{})
		if err != nil || now.Status.LastSuccessfulTime == nil || now.Status.LastSuccessfulTime.Time.Before(job.CreationTimestamp.Time) {
			return false, err
		}
		succeeded = now.Status.LastSuccessfulTime.Time
		return len(now.Status.Active) == 0, nil
	})
	if err != nil {
		return "", err
	}

	lastRun := func(at time.Time) error {
		status := fmt.Sprintf(`{"status":{"lastScheduleTime":%q}}`, at.UTC().Format(time.RFC3339))
		_, err := crons.Patch(ctx, name, types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
		return err
	}
	began := time.Now()
	if err := lastRun(succeeded.Add(time.Second)); err != nil {
		return "", err
	}
	s.tell("smoke test", "the last run of %s has not succeeded", name)
	_, err = s.observer.Until(ctx, "the Application is Degraded", func(state argo.State) (bool, error) {
		return state.Application.Status.Health.Status == "Degraded", nil
	})
	if err != nil {
		return "", err
	}
	took := time.Since(began)
	if err := lastRun(succeeded); err != nil {
		return "", err
	}
	if _, err := s.observer.Until(ctx, "the Application is Healthy", func(state argo.State) (bool, error) {
		return state.Application.Healthy(), nil
	}); err != nil {
		return "", err
	}
	return fmt.Sprintf("the Application was Degraded %.1f s after a failed run, and Healthy after a good one", took.Seconds()), nil
}
