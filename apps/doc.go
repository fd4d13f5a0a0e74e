// Package apps describes serverless compositions: which function invokes which, and how long each takes.
//
// Nine of them come embedded, and every folder with a graph.yaml is another:
//
//	app, err := apps.Load("tree_small") // or apps.Load("path/to/my_application")
//	for _, f := range app.Functions {
//		fmt.Println(app.DeployedName(f.Name), f.Duration, f.Invokes)
//	}
//
// A folder holds two files. graph.yaml says what the composition is (times in milliseconds, rate per millisecond):
//
//	functions:
//	  main: {invokes: [f1]}
//	  f1:   {duration: 300, gamma: {shape: 30, rate: 0.1}, invokes: [f2, f3]}
//	  f2:   {duration: 0,   gamma: {shape: 1,  rate: 1}}
//	  f3:   {duration: 400, gamma: {shape: 30, rate: 0.075}}
//
// An entry of invokes may also be {choice: {f2: 0.7, f3: 0.2, none: 0.1}}, of which one is invoked, or {loop: {f2: 0.4, max: 3}}, which
// invokes f2 again after each of its runs with probability 0.4; both are drawn for each request.
//
// serverless.yaml deploys the same functions with the Serverless Framework and is not read by this package. The folder
// template explains both line by line; copy it to start an application.
package apps
