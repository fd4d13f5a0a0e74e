// Package controller keeps limits of functions as a recommender wants them: again and again it takes what functions used since it looked last, asks
// what they should be given, and applies that within bounds.
//
//	c, err := controller.New(controller.Options{
//		Functions: []string{"qrcode"}, Source: source, Applier: controller.File{Path: "stack.yml"},
//		Recommender: func() (recommend.Recommender, error) { return recommend.New("forecast", recommend.Options{}) },
//		Journal: "rightsize.journal", Act: true, OnEvent: func(e controller.Event) { log.Print(e) },
//	})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	err = c.Run(ctx)
//
// It changes nothing unless Act is set, nor on usage that is missing or old, nor more often than a number of times a day, nor by more than a
// factor at once; after a container was killed for its memory it lowers nothing for hours. The journal has all samples, kills and changes, so that this
// holds across restarts too, however the process ended.
package controller
