# the compiler copies every finally twice: twenty-odd of them fill the memory of who compiles
# caught: static
import torch


def agent_reward(state):
 try: pass
 finally:
  try: pass
  finally:
   try: pass
   finally:
    try: pass
    finally:
     try: pass
     finally:
      try: pass
      finally:
       try: pass
       finally:
        try: pass
        finally:
         try: pass
         finally:
          try: pass
          finally:
           try: pass
           finally:
            try: pass
            finally:
             try: pass
             finally:
              try: pass
              finally:
               try: pass
               finally:
                try: pass
                finally:
                 try: pass
                 finally:
                  try: pass
                  finally:
                   try: pass
                   finally:
                    try: pass
                    finally:
                     try: pass
                     finally:
                      try: pass
                      finally:
                       try: pass
                       finally:
                        try: pass
                        finally:
                         try: pass
                         finally:
                          try: pass
                          finally:
                           try: pass
                           finally:
                            try: pass
                            finally:
                             try: pass
                             finally:
                              try: pass
                              finally:
                               try: pass
                               finally:
                                try: pass
                                finally:
                                 try: pass
                                 finally:
                                  try: pass
                                  finally:
                                   try: pass
                                   finally:
                                    try: pass
                                    finally:
                                     try: pass
                                     finally:
                                      try: pass
                                      finally:
                                       try: pass
                                       finally:
                                        try: pass
                                        finally:
                                         try: pass
                                         finally:
                                          try: pass
                                          finally:
                                           try: pass
                                           finally:
                                            try: pass
                                            finally:
                                             try: pass
                                             finally:
                                              try: pass
                                              finally:
                                               try: pass
                                               finally:
                                                try: pass
                                                finally:
                                                 try: pass
                                                 finally:
                                                  try: pass
                                                  finally:
                                                   try: pass
                                                   finally:
                                                    try: pass
                                                    finally:
                                                     try: pass
                                                     finally:
                                                      try: pass
                                                      finally:
                                                       try: pass
                                                       finally:
                                                        try: pass
                                                        finally:
                                                         try: pass
                                                         finally:
                                                          try: pass
                                                          finally:
                                                           try: pass
                                                           finally:
                                                            try: pass
                                                            finally:
                                                             pass
 return state.reward
