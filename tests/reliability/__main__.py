from tests.reliability import main

main()
