// Package announce sends announcements: spans without duration that say at once that a function is being invoked, or has begun to run.
//
//	a := announce.New(exporter, "shop-dev-main", func(spans int, err error) { log.Print(err) })
//	defer a.Close(ctx)
//	callID := a.Invoke(ctx, "shop-dev-pay") // ctx has the span of the caller; callID travels in the payload
//	a.Start(ctx, begin, attributes...)      // ctx has the span of the function that begins to run
//
// No announcement waits for another one that is still being sent, and none delays or fails its caller: what the collector does not take in
// time, or for which there is no room, is lost.
package announce
