"""The local web page. In: a running bot's parts and its data folder. Out: pages for its owner, on this machine."""
