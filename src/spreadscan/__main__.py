from spreadscan.cli.main import main

main()
