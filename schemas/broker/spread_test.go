package broker_test

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// A broker that has not heard of a new topic says that there is none, some times.
func TestEnsureWaitsForBrokersThatLagBehind(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl := client(t, broker.Config{Brokers: c.ListenAddrs()})
	var made atomic.Bool
	c.ControlKey(kmsg.CreateTopics.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		made.Store(true)
		return nil, nil, false
	})
	var settings, lists atomic.Int64
	c.ControlKey(kmsg.DescribeConfigs.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if settings.Add(1) > 3 {
			return nil, nil, false
		}
		req := r.(*kmsg.DescribeConfigsRequest)
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, asked := range req.Resources {
			one := kmsg.NewDescribeConfigsResponseResource()
			one.ResourceType, one.ResourceName, one.ErrorCode = asked.ResourceType, asked.ResourceName, kerr.UnknownTopicOrPartition.Code
			resp.Resources = append(resp.Resources, one)
		}
		return resp, nil, true
	})
	c.ControlKey(kmsg.Metadata.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := r.(*kmsg.MetadataRequest)
		if !made.Load() || c.CurrentNode() != 2 || len(req.Topics) == 0 || lists.Add(1) > 3 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.Topics {
			one := kmsg.NewMetadataResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	if n, err := broker.Ensure(within(t), cl, broker.DefaultLayout()); err != nil || n != 8 {
		t.Errorf("%d partitions, %v", n, err)
	}
	if settings.Load() <= 3 || lists.Load() <= 3 {
		t.Errorf("Ensure did not wait: %d and %d answers", settings.Load(), lists.Load())
	}
}
